import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { JupyterLab } from '@jupyterlab/application';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';

import { CommandIDs } from '../commands';
import { IExperimentQueue } from '../tokens';
import { QueueStatus } from './item';

const ITEM = 'jupyter-aiqueue:status';

/**
 * The queue in the status bar.
 */
export const statusBarPlugin: JupyterFrontEndPlugin<void> = {
  id: ITEM,
  description: 'Shows in the status bar how many jobs wait.',
  autoStart: true,
  requires: [IExperimentQueue],
  optional: [IStatusBar, ITranslator, JupyterLab.IInfo],
  activate: (
    app: JupyterFrontEnd,
    queue: IExperimentQueue,
    statusBar: IStatusBar | null,
    translator: ITranslator | null,
    info: JupyterLab.IInfo | null
  ): void => {
    if (statusBar === null) {
      return;
    }
    const { model, settings } = queue;
    const item = new QueueStatus({
      model,
      isConnected: () => info?.isConnected ?? true,
      onOpen: () => void app.commands.execute(CommandIDs.open),
      trans: (translator ?? nullTranslator).load('jupyter_aiqueue')
    });
    const changed = new Signal<QueueStatus, void>(item);
    statusBar.registerStatusItem(ITEM, {
      item,
      align: 'left',
      rank: 20,
      isActive: () => settings.get('statusBar'),
      activeStateChanged: changed
    });
    settings.changed.connect(() => changed.emit());
    // One look, so that it does not say "unknown" until somebody opens the sidebar.
    void Promise.all([app.restored, settings.ready]).then(() =>
      settings.get('statusBar') ? model.glance() : undefined
    );
  }
};
