import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { JupyterLab } from '@jupyterlab/application';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { QueueAPI } from '../api';
import { OPEN_JOB } from '../jobView/plugin';
import { BadgesModel } from './model';
import { NotebookBadges } from './notebook';

/**
 * Badges at the cells that have submitted jobs.
 */
export const badgesPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-aiqueue:badges',
  description: 'Shows at a cell how the jobs are that it has submitted.',
  autoStart: true,
  optional: [ITranslator, JupyterLab.IInfo],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    info: JupyterLab.IInfo | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyter_aiqueue');
    const { contents, events, serverSettings } = app.serviceManager;
    const api = new QueueAPI(serverSettings);
    app.docRegistry.addWidgetExtension('Notebook', {
      createNew: (panel: NotebookPanel) =>
        new NotebookBadges({
          model: new BadgesModel({
            api,
            events: events.stream,
            isConnected: () => info?.isConnected ?? true,
            path: () => contents.localPath(panel.context.path)
          }),
          onOpen: id => void app.commands.execute(OPEN_JOB, { job: id }),
          panel,
          trans
        })
    });
  }
};
