import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';

/**
 * Report the path of the current notebook: now, when another one becomes current, and when
 * it is renamed or moved.
 *
 * The path is below the server's root and without a drive (`RTC:train.ipynb` is
 * `train.ipynb`), as the server writes it; it is null when no notebook is open.
 */
export function followNotebook(
  notebooks: INotebookTracker,
  contents: Contents.IManager,
  report: (path: string | null) => void
): void {
  let current: NotebookPanel | null = null;
  const tell = (): void => {
    report(current === null ? null : contents.localPath(current.context.path));
  };
  const follow = (): void => {
    current?.context.pathChanged.disconnect(tell);
    current = notebooks.currentWidget;
    current?.context.pathChanged.connect(tell);
    tell();
  };
  notebooks.currentChanged.connect(follow);
  follow();
}
