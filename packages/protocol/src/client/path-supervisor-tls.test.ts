// Tests the supervisor of a path with TLS. TLS begins only after START_TLS, WELCOME counts only if it is encrypted, and everything else
// ends the attempt. The test plays the server. tls-transport.test.ts tests TLS itself, and handshake-tls.test.ts the keys.
// See docs/PROTOCOL.md, Encrypted paths.

import { describe, expect, test } from 'vitest';
import { handshakeFrame } from '../auth/handshake-frames.ts';
import { refuseFrame } from '../auth/handshake-server.ts';
import { PROOF_TIMEOUT_MS } from '../auth/limits.ts';
import { IDEAL_LINK } from '../testing/memory-transport.ts';
import { STAND_IN_CIPHER } from '../testing/stand-in-tls.ts';
import { TrunkScene } from '../testing/trunk-scene.ts';
import { OP } from '../wire/frames.ts';

function scene(prepare: (scene: TrunkScene) => void = () => undefined): TrunkScene {
  const made = new TrunkScene(1, IDEAL_LINK, true);
  made.server.answersPings = true;
  prepare(made);
  made.supervisors[0]!.start();
  made.clock.advance(1);
  return made;
}

function codeOf({ supervisors }: TrunkScene): string | undefined {
  return supervisors[0]!.lastError?.code;
}

test('a path comes up encrypted, and carries requests', () => {
  const made = new TrunkScene(2, IDEAL_LINK, true);
  made.server.answersPings = true;
  made.start();
  expect(made.states).toEqual(['up', 'up']);
  expect(made.supervisors.map(({ path }) => path?.connection.transport.cipher)).toEqual([STAND_IN_CIPHER, STAND_IN_CIPHER]);
  const request = made.submit(OP.FLUSH);
  made.clock.advance(1);
  const path = made.server.paths.find((one) => one.requests(OP.FLUSH).length > 0)!;
  path.answerIo(path.requests(OP.FLUSH)[0]!, 0);
  made.clock.advance(1);
  expect(made.statusOf(request)).toBe(0);
});

describe('the attempt ends', () => {
  test('if WELCOME comes outside TLS', () => {
    const made = scene(({ server }) => {
      server.startsTls = false;
    });
    const [path] = made.server.connections;
    path!.welcome(made.server.session, 0, 256);
    made.clock.advance(1);
    expect([made.states, codeOf(made)]).toEqual([['down'], 'E_PROTOCOL']);
  });

  test('if something follows START_TLS outside TLS', () => {
    const made = scene(({ server }) => {
      server.startsTls = false;
    });
    const [path] = made.server.connections;
    const welcome = Buffer.concat([handshakeFrame(OP.START_TLS), handshakeFrame(OP.START_TLS)]);
    path!.raw(welcome);
    made.clock.advance(1);
    expect(made.states).toEqual(['down']);
  });

  // If the client accepted this partial frame, bytes from an attacker would become the beginning of the first encrypted frame.
  test('if a part of a frame follows START_TLS outside TLS', () => {
    const made = scene(({ server }) => {
      server.behindStartTls = Buffer.alloc(5, OP.WELCOME);
    });
    expect([made.states, codeOf(made)]).toEqual([['down'], 'E_RESET']);
    expect(made.supervisors[0]!.lastError?.message).toContain('outside TLS');
  });

  test('if the server has another key for TLS', () => {
    const made = scene(({ server }) => {
      server.startsTls = false;
    });
    made.server.connections[0]!.startTls('ab'.repeat(32), () => undefined);
    made.clock.advance(1);
    expect([made.states, codeOf(made)]).toEqual([['down'], 'E_RESET']);
  });

  test('if the server begins TLS and does not finish it', () => {
    const made = scene(({ server }) => {
      server.startsTls = false;
    });
    made.network.routes[0]!.stand('there', true);
    made.server.connections[0]!.raw(handshakeFrame(OP.START_TLS));
    made.clock.advance(1);
    expect(made.states).toEqual(['proving']);
    made.clock.advance(PROOF_TIMEOUT_MS);
    expect(codeOf(made)).toBe('E_TIMEOUT');
  });

  test('with the code of a REFUSE instead of START_TLS', () => {
    const made = scene(({ server }) => {
      server.startsTls = false;
    });
    made.server.connections[0]!.raw(refuseFrame({ code: 'E_LIMIT', sentence: 'Too many' }));
    made.clock.advance(1);
    expect([made.states, codeOf(made)]).toEqual([['down'], 'E_LIMIT']);
  });

  test('with E_TLS if the server has no TLS, and the next attempt succeeds when it has', () => {
    const made = scene(({ server }) => {
      server.tls = false;
    });
    expect([made.states, codeOf(made)]).toEqual([['down'], 'E_TLS']);
    made.server.tls = true;
    made.clock.advance(60_000);
    expect(made.states).toEqual(['up']);
  });
});

test('a START_TLS on a path without TLS is a protocol error', () => {
  const made = new TrunkScene(1);
  made.server.decide = (path) => path.raw(handshakeFrame(OP.START_TLS));
  made.supervisors[0]!.start();
  made.clock.advance(1);
  expect([made.states, codeOf(made)]).toEqual([['down'], 'E_PROTOCOL']);
});
