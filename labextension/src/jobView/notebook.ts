import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';

/**
 * The code of a cell that fetches a job's result, wherever the notebook runs.
 */
export function resultCell(id: string): string {
  return [
    'from jupyter_aiqueue import Client',
    '',
    `job = Client().job(${JSON.stringify(id)})`,
    'job.metrics'
  ].join('\n');
}

/**
 * Insert a code cell below the active one and make it active.
 */
export function insertCell(panel: NotebookPanel, source: string): void {
  const notebook = panel.content;
  const index = notebook.activeCellIndex + 1;
  notebook.model?.sharedModel.insertCell(index, {
    cell_type: 'code',
    source,
    metadata: {}
  });
  notebook.activeCellIndex = index;
  notebook.deselectAll();
}

/**
 * The open notebook at a path below the server's root, without a drive; undefined if it is
 * not open.
 */
export function findNotebook(
  notebooks: INotebookTracker,
  contents: Contents.IManager,
  path: string
): NotebookPanel | undefined {
  return notebooks.find(
    panel => contents.localPath(panel.context.path) === path
  );
}

/**
 * Make the cell active that submitted a job. It can be told if its output names the job.
 */
export async function showCell(
  panel: NotebookPanel,
  id: string
): Promise<void> {
  await panel.context.ready;
  const notebook = panel.content;
  const cells = notebook.model?.sharedModel.cells ?? [];
  const index = cells.findIndex(
    cell =>
      cell.cell_type === 'code' && JSON.stringify(cell.toJSON()).includes(id)
  );
  if (index >= 0) {
    notebook.deselectAll();
    notebook.activeCellIndex = index;
    await notebook.scrollToItem(index, 'center');
  }
}
