// Tests the sections [application NAME]: defaults, every key, and what does not fit together. rscltcfg.test.ts tests the reader of the other
// sections.

import { describe, expect, test } from 'vitest';
import { addApplication, newRscltcfg, removeConfigSection } from '../rscltcfg-edit.ts';
import { parseRscltConfig } from './rscltcfg.ts';

const APP = '[application pg]\nvolumes = db, wal\nservice = postgresql@15-main.service\nnodes = big-2 big-6\n';
const applicationsIn = (text: string) => parseRscltConfig(text, 'f').applications;

describe('a section', () => {
  test('has defaults', () => {
    expect(applicationsIn(APP)).toEqual([
      {
        name: 'pg',
        volumes: ['db', 'wal'],
        mounts: [],
        mountOptions: null,
        check: null,
        address: null,
        nodes: ['big-2', 'big-6'],
        service: { kind: 'unit', unit: 'postgresql@15-main.service' },
        silentMs: 10_000,
        startDelayMs: 10_000,
        startTimeoutMs: 120_000,
        stopTimeoutMs: 60_000,
        checkIntervalMs: 5000,
        checkTimeoutMs: 10_000,
        restarts: 3,
        failBack: false,
        onIsolation: 'stop',
        line: 1,
      },
    ]);
  });

  test('has programs, mounts and an address', () => {
    const text =
      '[application x]\nvolumes = osl:db@1\nstart = /s\nstop = /t\ncheck = /c\nmounts = /var/lib/a, osl:db@1=/b\nmount-options = noatime,nodev\n' +
      'address = 10.0.0.5/24\naddress-device = eth0\nnodes = a\nsilent = 4s\nfail-back = yes\non-isolation = wait\nrestarts = 0\n';
    expect(applicationsIn(text)[0]).toMatchObject({
      service: { kind: 'programs', start: '/s', stop: '/t' },
      check: '/c',
      mounts: [
        { volume: null, path: '/var/lib/a' },
        { volume: 'osl:db@1', path: '/b' },
      ],
      mountOptions: 'noatime,nodev',
      address: { address: '10.0.0.5', prefix: 24, device: 'eth0' },
      silentMs: 4000,
      failBack: true,
      onIsolation: 'wait',
      restarts: 0,
    });
  });

  test.each([
    ['', /neither service nor start/],
    ['service = a.service\nstart = /s\n', /both service and start/],
    ['service = a.service\nstop = /s\n', /stop with service/],
    ['start = /s\nmounts = x=/b\n', /Mount \/b is on x, which is not in volumes/],
    ['start = /s\naddress-device = eth0\n', /address-device without address/],
    ['start = /s\naddress = 10.0.0.5\n', /allowed is an address with the length/],
    ['start = /s\nmounts = a/b\n', /Wrong value "a\/b" for mounts/],
    ['start = /s\nmounts = /a/../b\n', /Wrong value/],
    ['start = /s\nmounts = /\n', /Wrong value/],
    ['start = /s\nmount-options = -o\n', /Wrong value/],
    ['service = postgresql\n', /the name of a systemd unit with its ending/],
    ['service = -a.service\n', /Wrong value/],
    ['start = /s\nsilent = 1s\n', /Wrong value "1s" for silent/],
  ])('refuses %j', (keys, message) => {
    expect(() => applicationsIn(`[application x]\nvolumes = db\nnodes = a\n${keys}`)).toThrow(message);
  });

  test.each([
    ['volumes = db db', /Wrong value "db db" for volumes/],
    ['volumes = a/b', /Wrong value/],
    ['nodes = a a', /Wrong value "a a" for nodes/],
  ])('refuses %s', (line, message) => {
    const [key = ''] = line.split(' ');
    const others = ['volumes = v', 'nodes = n'].filter((one) => !one.startsWith(key));
    expect(() => applicationsIn(`[application x]\nstart = /s\n${[line, ...others].join('\n')}\n`)).toThrow(message);
  });

  test('shares nothing with another one', () => {
    const other = (keys: string): string => `${APP}mounts = /m\naddress = 10.0.0.5/24\n[application y]\nstart = /s\nnodes = a\n${keys}`;
    expect(() => applicationsIn(other('volumes = osl:db@0\n'))).toThrow(/volume osl:db@0 of applications/);
    expect(() => applicationsIn(other('volumes = z\nmounts = /m\n'))).toThrow(/mount \/m/);
    expect(() => applicationsIn(other('volumes = z\naddress = 10.0.0.5/16\n'))).toThrow(/address 10.0.0.5/);
    expect(() => applicationsIn(APP + APP.replace('db, wal', 'z'))).toThrow(/application name "pg"/);
    expect(applicationsIn(other('volumes = z\n'))).toHaveLength(2);
  });
});

test('a section is added, and removed again', () => {
  const before = newRscltcfg();
  const added = addApplication(before, 'pg', { volumes: 'db', service: 'a.service', nodes: 'a' });
  expect(added.lines.length).toBeGreaterThan(before.lines.length);
  expect(removeConfigSection(added, { type: 'application', name: 'pg' }).lines).toEqual(before.lines);
  expect(() => addApplication(before, 'pg', { volumes: 'a/b' })).toThrow('Wrong value');
});
