import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IMessageHandler, Message } from '@lumino/messaging';
import { MessageLoop } from '@lumino/messaging';
import type { ISignal } from '@lumino/signaling';
import type { PanelLayout } from '@lumino/widgets';

import { CellBadges } from './badges';
import type { Bundle } from './cells';
import { jobsIn, shareOut } from './cells';
import type { BadgesModel, ISeen } from './model';

type Cell = NotebookPanel['content']['widgets'][number];
type CellModel = Cell['model'];

/**
 * What a code cell has put out (`IOutputAreaModel`).
 */
interface IOutputs {
  readonly changed: ISignal<unknown, unknown>;
  readonly length: number;
  get(index: number): { readonly data: Bundle };
}

/**
 * Outputs that arrive within this time are read together, milliseconds.
 */
const GATHER_MS = 250;

/**
 * Puts badges at the cells of one notebook that have submitted jobs. A cell is known by its
 * outputs, which a restart of the kernel leaves alone and which are saved with the notebook;
 * nothing of ours is written into it.
 */
export class NotebookBadges {
  constructor(private readonly _options: NotebookBadges.IOptions) {
    const { model, panel } = _options;
    model.changed.connect(this._draw, this);
    MessageLoop.installMessageHook(panel, this._hook);
    panel.disposed.connect(this.dispose, this);
    model.setActive(panel.isVisible);
    void panel.context.ready.then(() => {
      if (!this.isDisposed) {
        panel.content.model?.cells.changed.connect(this._readSoon, this);
        this._read();
      }
    });
  }

  get isDisposed(): boolean {
    return this._options.model.isDisposed;
  }

  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    const { model, panel } = this._options;
    clearTimeout(this._reading);
    MessageLoop.removeMessageHook(panel, this._hook);
    panel.disposed.disconnect(this.dispose, this);
    panel.content.model?.cells.changed.disconnect(this._readSoon, this);
    for (const cell of this._texts.keys()) {
      outputsOf(cell)?.changed.disconnect(this._onOutput, this);
    }
    for (const badges of this._badges.values()) {
      badges.dispose();
    }
    model.dispose();
  }

  /**
   * Read the cells that have changed, and say which jobs are named.
   */
  private _read(): void {
    const cells = [...(this._options.panel.content.model?.cells ?? [])].filter(
      cell => outputsOf(cell) !== null
    );
    const there = new Set(cells);
    for (const [cell] of this._texts) {
      if (!there.has(cell)) {
        outputsOf(cell)?.changed.disconnect(this._onOutput, this);
        this._texts.delete(cell);
      }
    }
    for (const cell of cells) {
      if (!this._texts.has(cell)) {
        outputsOf(cell)?.changed.connect(this._onOutput, this);
        this._texts.set(cell, null);
      }
      if (this._texts.get(cell) === null) {
        this._texts.set(cell, jobsIn(textsOf(cell)));
      }
    }
    const shares = shareOut(cells.map(cell => this._texts.get(cell) ?? []));
    this._jobs = new Map(cells.map((cell, i) => [cell, shares[i]]));
    this._options.model.want(shares.flat());
    this._draw();
  }

  private _readSoon(): void {
    this._reading ??= setTimeout(() => {
      this._reading = undefined;
      this._read();
    }, GATHER_MS);
  }

  private _onOutput(outputs: unknown): void {
    for (const cell of this._texts.keys()) {
      if (outputsOf(cell) === outputs) {
        this._texts.set(cell, null);
      }
    }
    this._readSoon();
  }

  private _draw(): void {
    const { model, panel } = this._options;
    for (const widget of panel.content.widgets) {
      const seen = (this._jobs.get(widget.model) ?? [])
        .map(id => model.find(id))
        .filter((one): one is ISeen => one !== undefined)
        .sort((a, b) => (a.job_id < b.job_id ? 1 : -1));
      const badges = this._badges.get(widget);
      if (seen.length === 0) {
        badges?.dispose();
        this._badges.delete(widget);
      } else if (badges !== undefined) {
        badges.put(seen);
      } else if (widget.isPlaceholder()) {
        // Far from where somebody reads: it is drawn with the cell.
        this._await(widget);
      } else {
        this._add(widget, seen);
      }
    }
  }

  private _await(widget: Cell): void {
    if (this._awaited.has(widget)) {
      return;
    }
    this._awaited.add(widget);
    void widget.ready.then(() => {
      this._awaited.delete(widget);
      if (!this.isDisposed && !widget.isDisposed) {
        this._draw();
      }
    });
  }

  private _add(widget: Cell, seen: readonly ISeen[]): void {
    const { onOpen, trans } = this._options;
    const badges = new CellBadges({ onOpen, trans });
    badges.put(seen);
    this._badges.set(widget, badges);
    badges.disposed.connect(() => this._badges.delete(widget));
    (widget.layout as PanelLayout).addWidget(badges);
  }

  /** Whether anybody can see the notebook; hooks are called before the widget itself. */
  private readonly _hook = (_: IMessageHandler, message: Message): boolean => {
    const { model, panel } = this._options;
    switch (message.type) {
      case 'after-show':
        model.setActive(true);
        break;
      case 'after-attach':
        model.setActive(!panel.isHidden && panel.parent?.isVisible !== false);
        break;
      case 'after-hide':
      case 'before-detach':
        model.setActive(false);
        break;
      default:
    }
    return true;
  };

  /** The jobs that cells name; null where that has to be read anew. */
  private readonly _texts = new Map<CellModel, readonly string[] | null>();
  private readonly _badges = new Map<Cell, CellBadges>();
  private readonly _awaited = new Set<Cell>();
  private _jobs: ReadonlyMap<CellModel, readonly string[]> = new Map();
  private _reading: ReturnType<typeof setTimeout> | undefined;
}

/**
 * The namespace of `NotebookBadges`.
 */
export namespace NotebookBadges {
  export interface IOptions {
    /**
     * The jobs of this notebook alone; it ends with the badges.
     */
    model: BadgesModel;
    onOpen: (id: string) => void;
    panel: NotebookPanel;
    trans: TranslationBundle;
  }
}

function outputsOf(cell: CellModel): IOutputs | null {
  return cell.type === 'code'
    ? (cell as unknown as { outputs: IOutputs }).outputs
    : null;
}

function textsOf(cell: CellModel): { source: string; outputs: Bundle[] } {
  const outputs = outputsOf(cell);
  return {
    source: cell.sharedModel.getSource(),
    outputs: Array.from(
      { length: outputs?.length ?? 0 },
      (_, i) => outputs?.get(i).data ?? {}
    )
  };
}
