import { VDomModel } from '@jupyterlab/ui-components';

import type {
  IJobRecord,
  ILoad,
  IQueueAPI,
  IRehearsal,
  ISubmitted
} from '../api';
import type { IFailure } from '../failure';
import { describeFailure } from '../failure';
import type { IReply } from '../request';
import type { IDraft } from './draft';
import { submissionOf } from './draft';

/**
 * The group of a first job, where there is one of that name.
 */
const USUAL_GROUP = 'train';

/**
 * What the form knows: what it is made from, and what the server said to it. What is typed is
 * the form's own until it is sent.
 */
export class SubmitModel extends VDomModel {
  constructor(private readonly _options: SubmitModel.IOptions) {
    super();
  }

  /**
   * Path of the notebook that the job will belong to, below the server's root.
   */
  get notebook(): string {
    return this._options.notebook();
  }

  /**
   * Whether it is known what the form is made from.
   */
  get isReady(): boolean {
    return this._isReady;
  }

  /**
   * The job that the form is made from; null when the notebook has none.
   */
  get origin(): IJobRecord | null {
    return this._origin;
  }

  /**
   * The worker groups; empty while they are not known.
   */
  get groups(): readonly string[] {
    return groupsOf(this._load).map(({ name }) => name);
  }

  /**
   * The group of a first job.
   */
  get usualGroup(): string {
    const [first] = this.groups;
    return first === undefined || this.groups.includes(USUAL_GROUP)
      ? USUAL_GROUP
      : first;
  }

  /**
   * What is being asked of the server.
   */
  get pending(): 'rehearse' | 'submit' | null {
    return this._pending;
  }

  /**
   * What would become of the job, or null when that was not asked.
   */
  get rehearsal(): IRehearsal | null {
    return this._rehearsal;
  }

  /**
   * Which job did exactly this before, when that is why nothing was submitted.
   */
  get repeated(): string | null {
    return this._repeated;
  }

  /**
   * Why the last question was refused, or null.
   */
  get failure(): IFailure | null {
    return this._failure;
  }

  /**
   * What the workers of a group can run.
   */
  tasks(group: string): readonly string[] {
    const found = groupsOf(this._load).find(({ name }) => name === group);
    const names = found?.worker_list.flatMap(({ tasks }) => tasks ?? []) ?? [];
    return [...new Set(names)].sort();
  }

  /**
   * Find what the form is made from. Never throws: see `failure`.
   */
  async open(): Promise<void> {
    // A first look at the load may take seconds: nobody waits for it.
    void this._findLoad();
    const found = await this._findOrigin();
    if (!this.isDisposed) {
      this._origin = found;
      this._isReady = true;
      this.stateChanged.emit();
    }
  }

  /**
   * Ask what would become of the job. Never throws: see `failure`.
   */
  async rehearse(draft: IDraft): Promise<void> {
    const reply = await this._ask('rehearse', () =>
      this._options.api.rehearse(submissionOf(draft, this.notebook))
    );
    if (reply !== null) {
      this._rehearsal = reply.data;
      this.stateChanged.emit();
    }
  }

  /**
   * Submit the job. Never throws: see `failure` and `repeated`.
   *
   * @param again - Whether it is meant though exactly this has succeeded before.
   * @returns What the server said, or null if nothing was submitted.
   */
  async submit(draft: IDraft, again: boolean): Promise<ISubmitted | null> {
    const wanted = { ...submissionOf(draft, this.notebook), again };
    const reply = await this._ask('submit', () =>
      this._options.api.submit(wanted)
    );
    return reply?.data ?? null;
  }

  /**
   * What was said was said of something else than what is in the form now.
   */
  forget(): void {
    if (this._rehearsal || this._repeated || this._failure) {
      this._clear();
      this.stateChanged.emit();
    }
  }

  private _clear(): void {
    this._rehearsal = null;
    this._repeated = null;
    this._failure = null;
  }

  private async _ask<T>(
    what: 'rehearse' | 'submit',
    ask: () => Promise<IReply<T>>
  ): Promise<IReply<T> | null> {
    if (this._pending !== null) {
      return null;
    }
    this._pending = what;
    this._clear();
    this.stateChanged.emit();
    let reply: IReply<T> | null = null;
    try {
      reply = await ask();
    } catch (error) {
      const failure = describeFailure(error);
      if (failure.reason === 'already-succeeded') {
        this._repeated = failure.message;
      } else {
        this._failure = failure;
      }
    }
    this._pending = null;
    if (!this.isDisposed) {
      this.stateChanged.emit();
    }
    return reply;
  }

  private async _findOrigin(): Promise<IJobRecord | null> {
    const { api, job } = this._options;
    try {
      if (job !== null) {
        return (await api.job(job)).data.job;
      }
      const page = await api.jobs({
        notebook: this.notebook,
        limit: 1,
        offset: 0
      });
      return page.data.jobs[0] ?? null;
    } catch (error) {
      this._failure = describeFailure(error);
      return null;
    }
  }

  private async _findLoad(): Promise<void> {
    this._load = this._options.load();
    if (groupsOf(this._load).length > 0) {
      return;
    }
    try {
      this._load = (await this._options.api.load()).data;
      if (!this.isDisposed) {
        this.stateChanged.emit();
      }
    } catch {
      // Then groups and tasks have to be known by heart; what is wrong is said on submit.
    }
  }

  private _load: ILoad | null = null;
  private _origin: IJobRecord | null = null;
  private _isReady = false;
  private _pending: 'rehearse' | 'submit' | null = null;
  private _rehearsal: IRehearsal | null = null;
  private _repeated: string | null = null;
  private _failure: IFailure | null = null;
}

/**
 * The namespace of `SubmitModel`.
 */
export namespace SubmitModel {
  export interface IOptions {
    api: IQueueAPI;

    /**
     * Id of the job that the form is made from; null is the newest of the notebook.
     */
    job: string | null;

    /**
     * The load, if it is known already.
     */
    load: () => ILoad | null;

    /**
     * Path of the notebook below the server's root: it may be renamed meanwhile.
     */
    notebook: () => string;
  }
}

/**
 * The worker groups, without plain queues.
 */
function groupsOf(load: ILoad | null): ILoad['groups'] {
  return load?.groups.filter(({ queue }) => queue === null) ?? [];
}
