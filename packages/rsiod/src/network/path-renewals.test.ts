// Tests, with a scripted server, the paths that are up when the setting `tls` changes. The connections of the paths are replaced one after
// another, each while the old connection is still in use. No path is lost if the server refuses the new setting. The tests in
// test/integration use real servers under I/O. Rules: G23.

import { STAND_IN_CIPHER } from '@rsio/protocol/testing/stand-in-tls';
import { RECONNECT_MAX_MS } from '@rsio/protocol/client/limits';
import { FEATURE } from '@rsio/protocol/wire/features';
import { STATUS } from '@rsio/protocol/wire/status';
import { describe, expect, test } from 'vitest';
import { pathView } from '../control/views.ts';
import { LOCALS, NamespaceScene } from '../testing/namespace-scene.ts';
import { RENEWAL_LOOK_MS, TLS_CONNECTION_MAX_BYTES } from '@rsio/protocol/client/limits';

const LONG_MS = 2_000;

class RenewalScene extends NamespaceScene {
  /** The lowest and the highest number of paths that were up at the same time, in this order. */
  living = [Number.POSITIVE_INFINITY, 0];

  set tls(value: 'on' | 'off') {
    this.namespace.change(this.setup(LOCALS, { keys: `tls = ${value}\n` }));
  }

  get ciphers(): (string | null | undefined)[] {
    return this.namespace.routes.map(({ supervisor: { path } }) => path?.connection.transport.cipher);
  }

  watch(ms: number): void {
    for (let passedMs = 0; passedMs < ms; passedMs++) {
      this.clock.advance(1);
      const count = this.server.paths.filter(({ closedReason }) => closedReason === null).length;
      this.living = [Math.min(this.living[0]!, count), Math.max(this.living[1]!, count)];
    }
  }
}

describe('tls = on while paths are up', () => {
  test('each path is replaced, one after another, and none is missing meanwhile', () => {
    const scene = new RenewalScene();
    const session = scene.server.session;
    scene.moves.length = 0;
    scene.server.tls = true;
    scene.tls = 'on';
    expect(scene.ciphers).toEqual([null, null]);
    scene.watch(LONG_MS);
    expect(scene.ciphers).toEqual([STAND_IN_CIPHER, STAND_IN_CIPHER]);
    expect(scene.states).toEqual(['up', 'up']);
    expect(scene.living).toEqual([2, 3]);
    expect(scene.server.session).toBe(session);
    expect(scene.server.paths).toHaveLength(4);
    expect(scene.moves.filter((move) => / > (down|retired|suspect|probation)$/.test(move))).toEqual([]);
  });

  test('and back', () => {
    const scene = new RenewalScene();
    scene.server.tls = true;
    scene.tls = 'on';
    scene.watch(LONG_MS);
    scene.tls = 'off';
    scene.watch(LONG_MS);
    expect(scene.ciphers).toEqual([null, null]);
    expect(scene.living).toEqual([2, 3]);
  });

  test('the counters of a path go on', () => {
    const scene = new RenewalScene();
    scene.server.tls = true;
    const [route] = scene.namespace.routes;
    const [before, latencies] = [route!.supervisor.totals, route!.supervisor.latencies];
    expect(before.receivedBytes).toBeGreaterThan(0);
    scene.tls = 'on';
    scene.watch(LONG_MS);
    const { totals, path } = route!.supervisor;
    expect(path!.connection.receivedBytes).toBeGreaterThan(0);
    expect(totals.receivedBytes).toBeGreaterThanOrEqual(before.receivedBytes + path!.connection.receivedBytes);
    expect(route!.supervisor.latencies).toBe(latencies);
    expect(route!.supervisor.deaths).toBe(0);
  });

  test('a server that does not encrypt takes no path away, and the status says why; one path is tried', () => {
    const scene = new RenewalScene();
    scene.tls = 'on';
    scene.watch(LONG_MS);
    expect(scene.ciphers).toEqual([null, null]);
    expect(scene.living).toEqual([2, 2]);
    expect(scene.namespace.routes.filter(({ replacement }) => replacement !== null)).toHaveLength(1);
    expect(pathView(scene.namespace.routes[0]!, true)).toMatchObject({
      state: 'up',
      cipher: null,
      tls: true,
      lastError: expect.stringMatching(/^Server server does not encrypt, and this client insists on TLS: .* \[E_TLS\]$/),
    });
    scene.server.tls = true;
    scene.server.requiresTls = true;
    scene.watch(2 * RECONNECT_MAX_MS);
    expect(scene.ciphers).toEqual([STAND_IN_CIPHER, STAND_IN_CIPHER]);
    expect(scene.namespace.routes.map(({ replacement }) => replacement)).toEqual([null, null]);
  });

  test('a server that demands encryption keeps its encrypted paths when the client does without', () => {
    const scene = new RenewalScene();
    scene.server.tls = true;
    scene.server.requiresTls = true;
    scene.tls = 'on';
    scene.watch(LONG_MS);
    scene.tls = 'off';
    scene.watch(LONG_MS);
    expect(scene.ciphers).toEqual([STAND_IN_CIPHER, STAND_IN_CIPHER]);
    expect(scene.living[0]).toBe(2);
    expect(pathView(scene.namespace.routes[0]!, false).lastError).toContain('accepts encrypted connections only');
  });

  test('a setting that is taken back ends the replacement', () => {
    const scene = new RenewalScene();
    scene.tls = 'on';
    scene.watch(LONG_MS);
    const replacement = scene.namespace.routes[0]!.replacement!;
    scene.tls = 'off';
    expect(replacement.state).toBe('retired');
    scene.watch(LONG_MS);
    expect(scene.namespace.routes.map((route) => route.replacement)).toEqual([null, null]);
    expect(scene.states).toEqual(['up', 'up']);
  });

  test('a path that died meanwhile connects as configured, and its replacement ends', () => {
    const scene = new RenewalScene();
    scene.tls = 'on';
    scene.watch(LONG_MS);
    const replacement = scene.namespace.routes[0]!.replacement!;
    scene.server.paths[scene.namespace.routes[0]!.supervisor.lastNumber]!.connection.close('reset', true);
    scene.watch(LONG_MS);
    expect(replacement.state).toBe('retired');
    expect(scene.states[0]).not.toBe('up');
    expect(scene.namespace.routes[0]!.supervisor.lastError?.code).toBe('E_TLS');
    scene.server.tls = true;
    scene.watch(2 * RECONNECT_MAX_MS);
    expect(scene.ciphers).toEqual([STAND_IN_CIPHER, STAND_IN_CIPHER]);
  });

  test.each(['sentBytes', 'receivedBytes'] as const)('a connection whose keys have protected enough is replaced: %s', (counter) => {
    const scene = new RenewalScene();
    scene.server.tls = true;
    scene.tls = 'on';
    scene.watch(LONG_MS);
    const numbers = (): (number | undefined)[] => scene.namespace.routes.map(({ supervisor: { path } }) => path?.number);
    const before = numbers();
    const { connection } = scene.namespace.routes[1]!.supervisor.path!;
    connection[counter] = TLS_CONNECTION_MAX_BYTES - 2 ** 30;
    scene.watch(2 * RENEWAL_LOOK_MS);
    expect(numbers()).toEqual(before);
    connection[counter] = TLS_CONNECTION_MAX_BYTES;
    scene.watch(2 * RENEWAL_LOOK_MS);
    expect(numbers()).toEqual([before[0], Math.max(...before.map(Number)) + 1]);
    expect(scene.ciphers).toEqual([STAND_IN_CIPHER, STAND_IN_CIPHER]);
    expect(scene.living[0]).toBe(2);
  });

  test('a plain connection may carry any amount', () => {
    const scene = new RenewalScene();
    const connections = scene.server.connections.length;
    for (const { supervisor } of scene.namespace.routes) supervisor.path!.connection.sentBytes = TLS_CONNECTION_MAX_BYTES;
    scene.tls = 'off';
    scene.watch(2 * RENEWAL_LOOK_MS);
    expect(scene.server.connections).toHaveLength(connections);
  });

  test('a path that is not wanted any more takes its replacement with it', () => {
    const scene = new RenewalScene();
    scene.tls = 'on';
    scene.watch(LONG_MS);
    const replacement = scene.namespace.routes[0]!.replacement!;
    scene.namespace.change(scene.setup([LOCALS[1]!], { keys: 'tls = on\n' }));
    scene.watch(LONG_MS);
    expect(replacement.state).toBe('retired');
    expect(scene.namespace.routes).toHaveLength(1);
  });

  test('a replacement that waits for its next attempt connects with the configuration of that moment', () => {
    const scene = new RenewalScene();
    scene.tls = 'on';
    scene.watch(LONG_MS);
    const before = scene.namespace.routes[0]!.replacement!;
    const setup = scene.setup(LOCALS, { keys: 'tls = on\ndigest = on\n' });
    scene.namespace.change(setup);
    expect(before.state).toBe('retired');
    expect(scene.namespace.routes[0]!.replacement!.identity.hello.features).toContain(FEATURE.DIGEST);
  });

  test('nothing connects any more after the end', () => {
    const scene = new RenewalScene();
    scene.tls = 'on';
    scene.watch(LONG_MS);
    scene.namespace.stop(STATUS.SHUTTING_DOWN, 'over');
    const { length } = scene.server.connections;
    scene.watch(2 * RECONNECT_MAX_MS);
    expect(scene.server.connections).toHaveLength(length);
  });
});
