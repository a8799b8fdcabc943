import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal } from '@lumino/signaling';

import schema from '../../schema/plugin.json';
import { CommandIDs } from '../commands';
import { OPEN_LEDGER, OPEN_NOTEBOOK } from '../files/plugin';
import { DEFAULTS, Settings } from '../settings';

describe('settings', () => {
  it('have the defaults of the schema', () => {
    const { properties } = schema;
    expect(
      Object.fromEntries(
        Object.entries(properties).map(([name, { default: value }]) => [
          name,
          value
        ])
      )
    ).toEqual(DEFAULTS);
  });

  it('are followed', async () => {
    const composite: Record<string, unknown> = { statusBar: false };
    const changed = new Signal<unknown, void>({});
    const settings = new Settings();
    await settings.follow(
      { load: async () => ({ changed, composite }) } as never,
      'any'
    );
    await settings.ready;
    expect(settings.get('statusBar')).toBe(false);
    expect(settings.get('notifications')).toBe('all');
    const heard = jest.fn();
    settings.changed.connect(heard);
    composite.notifications = 'none';
    changed.emit();
    expect(heard).toHaveBeenCalled();
    expect(settings.get('notifications')).toBe('none');
  });

  it('that cannot be read keep their defaults', async () => {
    const complaint = jest.spyOn(console, 'error').mockImplementation();
    const settings = new Settings();
    await settings.follow(
      {
        load: () => Promise.reject(new Error('no'))
      } as unknown as ISettingRegistry,
      'any'
    );
    await settings.ready;
    expect(settings.get('refreshInterval')).toBe(5);
    expect(complaint).toHaveBeenCalled();
    complaint.mockRestore();
  });

  it('name commands that there are', () => {
    const known: string[] = [
      ...Object.values(CommandIDs),
      OPEN_LEDGER,
      OPEN_NOTEBOOK
    ];
    for (const { command } of [
      ...schema['jupyter.lab.menus'].context,
      ...schema['jupyter.lab.shortcuts']
    ]) {
      expect(known).toContain(command);
    }
  });
});
