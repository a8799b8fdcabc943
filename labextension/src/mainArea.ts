import type { ILabShell, JupyterFrontEnd } from '@jupyterlab/application';
import type { Widget } from '@lumino/widgets';

/**
 * Add a tab to the main area; in Notebook 7, where a document has that for itself, beside it.
 *
 * @param labShell - JupyterLab's own shell; null in other applications.
 * @param type - What layouts know such widgets by.
 */
export function addToMainArea(
  shell: JupyterFrontEnd.IShell,
  labShell: ILabShell | null,
  widget: Widget,
  type: string
): void {
  shell.add(widget, labShell === null ? 'right' : 'main', { type });
}
