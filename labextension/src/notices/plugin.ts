import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { QueueAPI } from '../api';
import { CommandIDs } from '../commands';
import { OPEN_JOB } from '../jobView/plugin';
import { IExperimentQueue } from '../tokens';
import { Claims } from './claims';
import { Ends } from './ends';
import type { Teller } from './teller';

/**
 * Tells when a job of this user has ended, wherever they are in the application.
 */
export const noticesPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-aiqueue:notices',
  description: 'Notifies of jobs that have ended.',
  autoStart: true,
  requires: [IExperimentQueue],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    queue: IExperimentQueue,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyter_aiqueue');
    const { model, settings } = queue;
    const { commands, serviceManager } = app;
    const { events, serverSettings } = serviceManager;
    let teller: Promise<Teller> | null = null;

    const load = async (): Promise<Teller> => {
      const { Teller } = await import('./teller');
      return new Teller({
        api: new QueueAPI(serverSettings),
        onShow: job => void commands.execute(OPEN_JOB, { job }),
        onShowAll: () => void commands.execute(CommandIDs.open),
        trans
      });
    };

    new Ends({
      claims: new Claims(`jupyter-aiqueue:ends:${serverSettings.baseUrl}`),
      events: events.stream,
      isWanted: state => {
        const wanted = settings.get('notifications');
        return (
          wanted === 'all' || (wanted === 'failures' && state !== 'succeeded')
        );
      },
      model,
      onEnds: ends => {
        teller ??= load();
        teller
          .then(one => one.tell(ends))
          .catch((reason: unknown) => {
            console.error('That jobs have ended was not told.', reason);
          });
      }
    });
  }
};
