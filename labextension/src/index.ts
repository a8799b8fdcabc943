import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer, JupyterLab } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { QueueAPI } from './api';
import { badgesPlugin } from './badges/plugin';
import { addCommands, PALETTE } from './commands';
import { comparePlugin } from './compare/plugin';
import { jobViewPlugin } from './jobView/plugin';
import type { Scope } from './jobs';
import { ledgerViewerPlugin } from './ledgerViewer/plugin';
import { QueueModel } from './model';
import { followNotebook } from './notebook';
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
    JupyterLab.IInfo
  ],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    notebooks: INotebookTracker | null,
    settingRegistry: ISettingRegistry | null,
    info: JupyterLab.IInfo | null
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

    let confirmsCancel = true;
    addCommands({
      app,
      model,
      trans,
      sidebar: SIDEBAR_ID,
      confirmsCancel: () => confirmsCancel
    });

    const sidebar = new QueueSidebar({ commands: app.commands, model, trans });
    sidebar.id = SIDEBAR_ID;
    app.shell.add(sidebar, 'left', { rank: 210, type: 'Experiment queue' });
    restorer?.add(sidebar, SIDEBAR_ID);
    for (const command of PALETTE) {
      palette?.addItem({ command, category: trans.__('Experiment queue') });
    }

    if (settingRegistry !== null) {
      const apply = (settings: ISettingRegistry.ISettings): void => {
        model.interval = settings.get('refreshInterval').composite as number;
        confirmsCancel = settings.get('confirmCancel').composite as boolean;
      };
      settingRegistry
        .load(PLUGIN_ID)
        .then(settings => {
          model.jobs.scope = settings.get('jobs').composite as Scope;
          apply(settings);
          settings.changed.connect(apply);
        })
        .catch((reason: unknown) => {
          console.error('Settings of jupyter-aiqueue were not read.', reason);
        });
    }
    return { model };
  }
};

export default [
  plugin,
  jobViewPlugin,
  comparePlugin,
  ledgerViewerPlugin,
  submitPlugin,
  badgesPlugin
];
