import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer, JupyterLab } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { QueueAPI } from './api';
import { badgesPlugin } from './badges/plugin';
import { addCommands, PALETTE } from './commands';
import { comparePlugin } from './compare/plugin';
import { filesPlugin } from './files/plugin';
import { jobViewPlugin } from './jobView/plugin';
import { restoreSidebar } from './jobList/restore';
import { ledgerViewerPlugin } from './ledgerViewer/plugin';
import { QueueModel } from './model';
import { followNotebook } from './notebook';
import { noticesPlugin } from './notices/plugin';
import { Settings } from './settings';
import { statusBarPlugin } from './statusBar/plugin';
import { submitPlugin } from './submit/plugin';
import { IExperimentQueue } from './tokens';
import { QueueSidebar } from './widgets/sidebar';

export { IExperimentQueue } from './tokens';

const PLUGIN_ID = 'jupyter-aiqueue:plugin';
const SIDEBAR_ID = 'jp-aiqueue-sidebar';

/**
 * The sidebar and its commands.
 */
const plugin: JupyterFrontEndPlugin<IExperimentQueue> = {
  id: PLUGIN_ID,
  description:
    'Shows how busy the shared machines are, and the jobs of this user, live.',
  autoStart: true,
  provides: IExperimentQueue,
  optional: [
    ITranslator,
    ICommandPalette,
    ILayoutRestorer,
    INotebookTracker,
    ISettingRegistry,
    JupyterLab.IInfo,
    IStateDB
  ],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    notebooks: INotebookTracker | null,
    settingRegistry: ISettingRegistry | null,
    info: JupyterLab.IInfo | null,
    database: IStateDB | null
  ): IExperimentQueue => {
    const trans = (translator ?? nullTranslator).load('jupyter_aiqueue');
    const { contents, events, serverSettings } = app.serviceManager;
    const model = new QueueModel({
      api: new QueueAPI(serverSettings),
      events: events.stream,
      isConnected: () => info?.isConnected ?? true
    });
    if (notebooks !== null) {
      followNotebook(notebooks, contents, path => {
        model.jobs.notebook = path;
      });
    }

    const settings = new Settings();
    addCommands({
      app,
      model,
      trans,
      sidebar: SIDEBAR_ID,
      confirmsCancel: () => settings.get('confirmCancel')
    });

    const sidebar = new QueueSidebar({ commands: app.commands, model, trans });
    sidebar.id = SIDEBAR_ID;
    app.shell.add(sidebar, 'left', { rank: 210, type: 'Experiment queue' });
    restorer?.add(sidebar, SIDEBAR_ID);
    for (const command of PALETTE) {
      palette?.addItem({ command, category: trans.__('Experiment queue') });
    }

    const restored = (
      database === null
        ? Promise.resolve(false)
        : restoreSidebar(database, model)
    ).catch((reason: unknown) => {
      console.error('How the sidebar looked was not read.', reason);
      return false;
    });
    settings.changed.connect(() => {
      model.interval = settings.get('refreshInterval');
      model.groups = settings.get('groups');
    });
    void settings.ready.then(async () => {
      if (!(await restored)) {
        model.jobs.scope = settings.get('jobs');
      }
    });
    void settings.follow(settingRegistry, PLUGIN_ID);
    return { model, settings };
  }
};

export default [
  plugin,
  jobViewPlugin,
  comparePlugin,
  ledgerViewerPlugin,
  statusBarPlugin,
  noticesPlugin,
  filesPlugin,
  submitPlugin,
  badgesPlugin
];
