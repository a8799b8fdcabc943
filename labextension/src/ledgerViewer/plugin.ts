import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { WidgetTracker } from '@jupyterlab/apputils';
import type {
  DocumentRegistry,
  IDocumentWidget
} from '@jupyterlab/docregistry';
import { ABCWidgetFactory, DocumentWidget } from '@jupyterlab/docregistry';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { COMPARE_JOBS } from '../compare/plugin';
import { queueIcon } from '../icons';
import { OPEN_JOB } from '../jobView/plugin';
import { SUFFIX } from '../ledger/ledger';
import { Follower } from './follower';
import { LedgerViewModel } from './model';
import { LedgerView } from './widget';

/**
 * Name of the factory, by which a reloaded page finds it: never translated.
 */
const FACTORY = 'AIQueue job table';
const FILE_TYPE = 'aiqueue-ledger';

type LedgerDocument = IDocumentWidget<LedgerView>;

/**
 * Opens ledgers as tables of jobs.
 */
export const ledgerViewerPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-aiqueue:ledger-viewer',
  description: 'Shows ledgers (*.jobs.jsonl) as tables of jobs.',
  autoStart: true,
  optional: [ITranslator, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyter_aiqueue');
    app.docRegistry.addFileType({
      name: FILE_TYPE,
      displayName: trans.__('Job ledger'),
      extensions: [SUFFIX],
      mimeTypes: ['application/jsonl', 'application/x-ndjson'],
      contentType: 'file',
      fileFormat: 'text',
      icon: queueIcon
    });
    const factory = new LedgerViewerFactory(app, trans);
    const tracker = new WidgetTracker<LedgerDocument>({
      namespace: 'aiqueue-ledgers'
    });
    factory.widgetCreated.connect((_, widget) => {
      void tracker.add(widget);
      widget.context.pathChanged.connect(() => void tracker.save(widget));
    });
    app.docRegistry.addWidgetFactory(factory);
    if (restorer) {
      void restorer.restore(tracker, {
        command: 'docmanager:open',
        args: ({ context }) => ({ path: context.path, factory: FACTORY }),
        name: ({ context }) => context.path
      });
    }
  }
};

class LedgerViewerFactory extends ABCWidgetFactory<LedgerDocument> {
  constructor(
    private readonly _app: JupyterFrontEnd,
    private readonly _trans: TranslationBundle
  ) {
    super({
      name: FACTORY,
      label: _trans.__('Job Table'),
      fileTypes: [FILE_TYPE],
      defaultFor: [FILE_TYPE],
      readOnly: true
    });
  }

  protected createNewWidget(context: DocumentRegistry.Context): LedgerDocument {
    const { commands, serviceManager } = this._app;
    const { contents, events } = serviceManager;
    const model = new LedgerViewModel(contents.localPath(context.path));
    const content = new LedgerView({
      model,
      onCompare: ids =>
        void commands.execute(COMPARE_JOBS, {
          jobs: [...ids],
          ledger: model.path
        }),
      onOpen: job =>
        void commands.execute(OPEN_JOB, { job, ledger: model.path }),
      onShown: () => follower.refresh(),
      trans: this._trans
    });
    const follower = new Follower(
      context,
      contents,
      events.stream,
      () => content.isVisible
    );
    const read = () => model.read(context.model.toString());
    const move = () =>
      model.moved(contents.localPath(context.path), context.model.toString());
    void context.ready.then(() => {
      if (!content.isDisposed) {
        read();
        context.model.contentChanged.connect(read);
        context.pathChanged.connect(move);
      }
    });
    content.disposed.connect(() => {
      context.model.contentChanged.disconnect(read);
      context.pathChanged.disconnect(move);
      follower.dispose();
      model.dispose();
    });
    const widget = new DocumentWidget({ content, context });
    widget.title.icon = queueIcon;
    widget.toolbar.hide();
    return widget;
  }
}
