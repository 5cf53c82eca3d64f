// Tests the command line: needed options, options that exclude each other, and defaults. Manifests and manual page are compared with the
// options in other tests.

import { expect, test } from 'vitest';
import { CSI_HELP, CSI_OPTIONS, setupOf } from './options.ts';

test('the mode and the socket are needed, and everything else has a default', () => {
  expect(setupOf({ node: true, socket: '/csi/csi.sock' }, '/')).toEqual({
    mode: 'node',
    socket: '/csi/csi.sock',
    namespace: null,
    rsiod: '/run/rsio/rsiod/control',
    state: '/var/lib/rsio/csi',
    metrics: null,
  });
  expect(setupOf({ controller: true, socket: '/s', metrics: '[::]:9090', namespace: 'osl' }, '/root')).toMatchObject({
    mode: 'controller',
    rsiod: '/root/run/rsio/rsiod/control',
    namespace: 'osl',
    metrics: { address: '::', port: 9090, token: null },
  });
});

test('a wrong command line is refused', () => {
  const refused = (given: Parameters<typeof setupOf>[0]): (() => unknown) => {
    return () => setupOf(given, '/');
  };
  expect(refused({ socket: '/s' })).toThrow('Give one of --controller and --node');
  expect(refused({ controller: true, node: true, socket: '/s' })).toThrow('Give one of --controller and --node');
  expect(refused({ node: true })).toThrow('Option --socket is missing');
  expect(refused({ controller: true, socket: '/s', state: '/x' })).toThrow('Option --state is for --node');
  expect(refused({ node: true, socket: '/s', metrics: '10.0.0.1' })).toThrow('Option --metrics has no port');
});

test('the help names every option', () => {
  for (const name of Object.keys(CSI_OPTIONS)) expect(CSI_HELP).toContain(`--${name} `);
});
