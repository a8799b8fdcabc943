import { VDomRenderer } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';

/**
 * What a view needs of its model: to be told whether somebody looks, and to be drawn anew.
 */
export interface IWatched extends VDomRenderer.IModel {
  setActive(isActive: boolean): void;
}

/**
 * A view that tells its model whether anybody can see it.
 */
export abstract class WatchedView<T extends IWatched> extends VDomRenderer<T> {
  constructor(protected readonly watched: T) {
    super(watched);
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.watched.setActive(this.isVisible);
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.watched.setActive(true);
  }

  protected override onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this.watched.setActive(false);
  }

  protected override onBeforeDetach(message: Message): void {
    // While the widget is disposed, `this.model` is gone already.
    this.watched.setActive(false);
    super.onBeforeDetach(message);
  }
}

/**
 * A tab of the main area, with a model of its own.
 */
export abstract class WatchedTab<T extends IWatched> extends WatchedView<T> {
  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    this.node.tabIndex = -1;
    this.node.focus();
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this.watched.dispose();
    }
    super.dispose();
  }
}
