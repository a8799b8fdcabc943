import type { INotebookTracker } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';

import { followNotebook } from '../notebook';

class FakeNotebook {
  readonly context = {
    path: this._path,
    pathChanged: new Signal<unknown, string>({})
  };

  constructor(private readonly _path: string) {}

  rename(path: string): void {
    this.context.path = path;
    this.context.pathChanged.emit(path);
  }
}

describe('followNotebook', () => {
  const contents = {
    localPath: (path: string) => path.replace(/^RTC:/, '')
  } as Contents.IManager;
  let tracker: {
    currentWidget: FakeNotebook | null;
    currentChanged: Signal<unknown, unknown>;
  };
  let reported: (string | null)[];

  function turnTo(notebook: FakeNotebook | null): void {
    tracker.currentWidget = notebook;
    tracker.currentChanged.emit(notebook);
  }

  beforeEach(() => {
    tracker = {
      currentWidget: null,
      currentChanged: new Signal<unknown, unknown>({})
    };
    reported = [];
    followNotebook(tracker as unknown as INotebookTracker, contents, path =>
      reported.push(path)
    );
  });

  it('says at once that no notebook is open', () => {
    expect(reported).toEqual([null]);
  });

  it('reports the path without the drive', () => {
    turnTo(new FakeNotebook('RTC:experiments/digits.ipynb'));
    expect(reported).toEqual([null, 'experiments/digits.ipynb']);
  });

  it('follows a rename, of the current notebook only', () => {
    const first = new FakeNotebook('a.ipynb');
    turnTo(first);
    first.rename('b.ipynb');
    turnTo(new FakeNotebook('c.ipynb'));
    first.rename('d.ipynb');
    turnTo(null);
    expect(reported).toEqual([null, 'a.ipynb', 'b.ipynb', 'c.ipynb', null]);
  });
});
