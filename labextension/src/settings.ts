import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { PromiseDelegate } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { Scope } from './jobs';

/**
 * Of which ends of jobs somebody wants to be told.
 */
export type Notices = 'all' | 'failures' | 'none';

/**
 * What can be set, as `schema/plugin.json` describes it.
 */
export interface ISettings {
  readonly refreshInterval: number;
  readonly groups: readonly string[];
  readonly jobs: Scope;
  readonly confirmCancel: boolean;
  readonly statusBar: boolean;
  readonly notifications: Notices;
}

/**
 * What counts until settings were read; the same as in the schema.
 */
export const DEFAULTS: ISettings = {
  refreshInterval: 5,
  groups: [],
  jobs: 'notebook',
  confirmCancel: true,
  notifications: 'all',
  statusBar: true
};

/**
 * The settings of this extension, as they are now.
 */
export class Settings {
  /**
   * Resolves when settings were read, or could not be.
   */
  get ready(): Promise<void> {
    return this._ready.promise;
  }

  /**
   * Emitted when a setting has another value.
   */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /**
   * The value of a setting; its default before settings were read.
   */
  get<K extends keyof ISettings>(name: K): ISettings[K] {
    return this._values[name];
  }

  /**
   * Read the settings, and follow them. Never throws: what cannot be read keeps its default.
   */
  async follow(
    registry: ISettingRegistry | null,
    plugin: string
  ): Promise<void> {
    try {
      const settings = await registry?.load(plugin);
      if (settings === undefined) {
        return;
      }
      const read = (): void => {
        this._values = { ...DEFAULTS, ...settings.composite } as ISettings;
        this._changed.emit();
      };
      settings.changed.connect(read);
      read();
    } catch (reason) {
      console.error('Settings of jupyter-aiqueue were not read.', reason);
    } finally {
      this._ready.resolve();
    }
  }

  private readonly _ready = new PromiseDelegate<void>();
  private _values: ISettings = DEFAULTS;
  private readonly _changed = new Signal<this, void>(this);
}
