// Tests how the environment of ceph(8) is understood: CEPH_CONF and CEPH_ARGS name the user, the configuration and other options.
// test/integration/rbd-engine.test.ts tests that Ceph accepts the result.

import { expect, it } from 'vitest';
import { cephAccess, confWith } from './rbd-access.ts';

it('without variables, the user is admin and the configuration is that of the machine', () => {
  expect(cephAccess({ HOME: '/root' })).toEqual({
    user: 'admin',
    conf: '/etc/ceph/ceph.conf',
    options: [],
    environment: { HOME: '/root', LC_ALL: 'C' },
  });
});

it.each([
  ['--id rsio', 'rsio'],
  ['--id=rsio', 'rsio'],
  ['-n client.rsio', 'rsio'],
  ['--name=client.rsio', 'rsio'],
  ['--no-mon-config --user rsio', 'rsio'],
])('CEPH_ARGS %s names the user', (words, user) => {
  expect(cephAccess({ CEPH_ARGS: words }).user).toBe(user);
});

it.each([
  [{ CEPH_CONF: '/a/ceph.conf' }, '/a/ceph.conf'],
  [{ CEPH_CONF: '/a/ceph.conf', CEPH_ARGS: '-c /b/b.conf' }, '/b/b.conf'],
  [{ CEPH_ARGS: '--cluster backup' }, '/etc/ceph/backup.conf'],
])('the configuration of %o is %s', (environment, conf) => {
  expect(cephAccess(environment).conf).toBe(conf);
});

it('other options are the last ones of the user', () => {
  const access = cephAccess({ CEPH_ARGS: '--id rsio --keyring=/k --mon-host 10.0.0.1 --no-mon-config' });
  expect(confWith('[client.rsio]\nkeyring = /old', access, ['debug_ms = 1/1'])).toBe(
    '[client.rsio]\nkeyring = /old\n[client.rsio]\nkeyring = /k\nmon_host = 10.0.0.1\nno_mon_config = true\ndebug_ms = 1/1\n',
  );
});
