import type { TranslationBundle } from '@jupyterlab/translation';
import { refreshIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';

import { CommandIDs } from '../commands';
import { queueIcon } from '../icons';
import type { QueueModel } from '../model';
import { sameVersion, VERSION } from '../version';
import { Banner, EmptyState, IconButton } from './frame';
import { JobsSection } from './jobsSection';
import { LoadSection } from './loadSection';
import { WatchedView } from './watched';

const LIST = 'jupyter server extension list';
const ENABLE = 'jupyter server extension enable jupyter_aiqueue';

/**
 * The sidebar "Experiment queue". It only shows what the model knows, and tells the model
 * whether anybody can see it.
 */
export class QueueSidebar extends WatchedView<QueueModel> {
  constructor(private readonly _options: QueueSidebar.IOptions) {
    super(_options.model);
    const { trans } = _options;
    this.addClass('jp-AIQueue');
    this.title.icon = queueIcon;
    this.title.caption = trans.__('Experiment queue');
    this.title.dataset = {
      ...this.title.dataset,
      jpTabLabel: trans.__('Experiment queue')
    };
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Experiment queue'));
  }

  protected override render(): JSX.Element {
    const { commands, trans } = this._options;
    const { failure, load } = this.model;
    const refresh = () => void commands.execute(CommandIDs.refresh);
    return (
      <>
        <div className="jp-AIQueue-header">
          <h2>{trans.__('Experiment queue')}</h2>
          <IconButton
            icon={refreshIcon}
            label={trans.__('Refresh')}
            onClick={refresh}
          />
        </div>
        {failure?.kind === 'no-extension' ? (
          <NoExtension onRetry={refresh} trans={trans} />
        ) : (
          <>
            <VersionBanner server={load?.version ?? null} trans={trans} />
            <LoadSection model={this.model} onRetry={refresh} trans={trans} />
            <JobsSection commands={commands} model={this.model} trans={trans} />
          </>
        )}
      </>
    );
  }
}

/**
 * The namespace of `QueueSidebar`.
 */
export namespace QueueSidebar {
  export interface IOptions {
    commands: CommandRegistry;
    model: QueueModel;
    trans: TranslationBundle;
  }
}

/**
 * The server knows nothing of us: how to look for the reason, and how to enable it.
 */
function NoExtension(props: {
  onRetry: () => void;
  trans: TranslationBundle;
}): JSX.Element {
  const { trans } = props;
  return (
    <EmptyState
      action={{ label: trans.__('Look again'), onClick: props.onRetry }}
      name="no-extension"
      title={trans.__('The server part is missing')}
    >
      <p>
        {trans.__(
          'This Jupyter server does not run the jupyter_aiqueue extension. Whether it is installed and enabled:'
        )}
      </p>
      <pre>{LIST}</pre>
      <p>{trans.__('To enable it, then restart the Jupyter server:')}</p>
      <pre>{ENABLE}</pre>
    </EmptyState>
  );
}

/**
 * Front end and server come in one package; after an update one of them may still be old.
 */
function VersionBanner(props: {
  server: string | null;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { server, trans } = props;
  if (server === null || sameVersion(server, VERSION)) {
    return null;
  }
  return (
    <Banner kind="warning" name="version">
      {trans.__(
        'This page is version %1, the server is version %2. Restart the server and reload the page.',
        VERSION,
        server
      )}
    </Banner>
  );
}
