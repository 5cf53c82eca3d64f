// Tests the commands of an appliance. On other machines they are refused, and a new system is confirmed only if rssrv answers. The
// functions behind the commands have tests in packages/appliance.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { bootBlock } from '@rsio/appliance/system-image';
import { expect, test } from 'vitest';
import { ANSWERS, useAdmScene } from '../testing/adm-scene.ts';

const scene = useAdmScene();
const idOf = (one: string): string => `0b6a1e4f-7c21-4c58-9d3b-2f1c9a527a0${one}`;

function makeAppliance(): void {
  for (const folder of ['config/dvsc', 'config/ssh']) mkdirSync(`${scene.root}/${folder}`, { recursive: true });
  const files = {
    'usr/lib/rsio-appliance/release.json': '{"version":"1.2"}',
    'proc/cmdline': 'rsio.slot=b rsio.trial',
    'proc/mounts': '',
    ...Object.fromEntries(['a', 'b'].map((slot) => [`dev/disk/by-partuuid/${idOf(slot)}`, ''])),
    'run/rsio-appliance/partitions': ['boot', 'a', 'b', 'config'].map((name, at) => `${name}=${idOf('cabd'[at]!)}\n`).join(''),
    'run/rsio-appliance/boot/grub/grubenv': bootBlock({ good: 'a', once: null }),
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(`${scene.root}/${name}`), { recursive: true });
    writeFileSync(`${scene.root}/${name}`, text);
  }
  scene.programs = (program) => Promise.resolve(program === 'lsblk' ? '{"blockdevices":[]}' : program === 'ip' ? '[]' : '');
}

test.each(['show', 'upgrade x', 'back', 'save x', 'restore x', 'apply', 'confirm'])(
  'appliance %s is refused on another machine',
  async (words) => {
    const { code, err } = await scene.run(['appliance', ...words.split(' ')]);
    expect([code, err]).toEqual([2, 'rsadm: This machine is not an RSIO appliance: run the command on an appliance [E_USAGE]\n']);
  },
);

test('a slot is confirmed only if rssrv answers', async () => {
  makeAppliance();
  const env = (): string => readFileSync(`${scene.root}/run/rsio-appliance/boot/grub/grubenv`, 'utf8');
  expect(await scene.run(['appliance', 'confirm'])).toMatchObject({ code: 1 });
  expect(env()).toContain('good=a\n');
  await scene.serve(ANSWERS);
  expect(await scene.run(['appliance', 'confirm'])).toMatchObject({ code: 0, out: 'Slot b is confirmed\n' });
  expect(env()).toContain('good=b\ntry=\n');
  writeFileSync(`${scene.root}/proc/mounts`, `rsio-no-config ${scene.root}/config tmpfs rw 0 0\n`);
  expect((await scene.run(['appliance', 'confirm'])).err).toContain('The configuration partition is not mounted');
});

test('the state is shown, and a configuration is saved and accepted', async () => {
  makeAppliance();
  const shown = await scene.run(['appliance', 'show']);
  expect(shown.out).toBe('version 1.2, slot b on trial\nslot a: -, slot b: -; the next boot takes a\n');
  const ids = { sda: idOf('a'), sdb: 'of another appliance' };
  const disk = (name: string) => ({ name, type: 'disk', size: 1e9, partlabel: 'rsio-a', partuuid: ids[name as 'sda'], mountpoints: [] });
  const { programs } = scene;
  scene.programs = (program, args) =>
    program === 'lsblk' ? Promise.resolve(JSON.stringify({ blockdevices: ['sda', 'sdb'].map(disk) })) : programs(program, args);
  expect((await scene.run(['appliance', 'show'])).out).toContain('! Another appliance is on sdb: take it out or erase it');
  const partitions = `${scene.root}/run/rsio-appliance/partitions`;
  const known = readFileSync(partitions, 'utf8');
  writeFileSync(partitions, known.replace(idOf('d'), '52534f49-0000-4000-8000-000000000005'));
  expect((await scene.run(['appliance', 'show'])).out).toContain('! The partitions of the appliance have the ids of its image');
  writeFileSync(partitions, known);
  scene.programs = programs;
  expect(await scene.run(['appliance', 'save', `${scene.root}/saved`])).toMatchObject({ code: 0 });
  expect(await scene.run(['appliance', 'restore', `${scene.root}/saved`])).toMatchObject({ code: 0 });
  expect((await scene.run(['appliance', 'show'])).out).toContain('a restored configuration waits for the next boot');
  expect((await scene.run(['appliance', 'save', 'saved', '--disk', 'sdb1'])).err).toContain(
    'No removable file system "sdb1": there are none',
  );
});
