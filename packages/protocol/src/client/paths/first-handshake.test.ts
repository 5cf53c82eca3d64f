// Tests which path may perform the handshake that begins a session, which paths wait for it, and that a silent path does not block the
// other paths for long. rssrv's tests cover two simultaneous first handshakes at the server.

import { describe, expect, test } from 'vitest';
import { PROOF_TIMEOUT_MS } from '../../auth/limits.ts';
import { FIRST_HANDSHAKE_PATIENCE_MS, JOIN_RETRY_MS } from '../limits.ts';
import type { ScriptedPath } from '../../testing/scripted-server.ts';
import { TrunkScene } from '../../testing/trunk-scene.ts';
import { FirstHandshake } from './first-handshake.ts';

function holder(log: string[], name: string): { overtaken(): void } {
  return { overtaken: () => log.push(name) };
}

describe('the right to be first', () => {
  test('belongs to one path until it fails or its time is over', () => {
    const first = new FirstHandshake();
    const log: string[] = [];
    const [a, b] = [holder(log, 'a'), holder(log, 'b')];
    expect([first.take(a, 0), first.take(b, FIRST_HANDSHAKE_PATIENCE_MS - 1)]).toEqual([true, false]);
    first.failed(b);
    expect(first.take(b, 1)).toBe(false);
    first.failed(a);
    expect([first.take(b, 1), log]).toEqual([true, []]);
    expect([first.take(a, 1 + FIRST_HANDSHAKE_PATIENCE_MS), log]).toEqual([true, ['b']]);
  });

  test('lasts twice as long each time, up to the timeout of any handshake, so that a slow server gets enough time', () => {
    const first = new FirstHandshake();
    const waits: number[] = [];
    let sinceMs = 0;
    first.take(holder([], ''), 0);
    for (let nowMs = 0; nowMs < 60_000; nowMs += 50) {
      if (!first.take(holder([], ''), nowMs)) continue;
      waits.push(nowMs - sinceMs);
      sinceMs = nowMs;
    }
    expect(waits.slice(0, 6)).toEqual([300, 600, 1200, 2400, 4800, PROOF_TIMEOUT_MS]);
    first.succeeded();
    first.take(holder([], ''), 100_000);
    expect(first.take(holder([], ''), 100_000 + FIRST_HANDSHAKE_PATIENCE_MS)).toBe(true);
  });
});

describe('a path that falls silent between CHALLENGE and WELCOME', () => {
  function sceneWithSilentFirst(): { scene: TrunkScene; silent: ScriptedPath[] } {
    const scene = new TrunkScene(2);
    const silent: ScriptedPath[] = [];
    scene.server.decide = (path) => {
      if (silent.length === 0) silent.push(path);
      else scene.server.welcome(path);
    };
    for (const supervisor of scene.supervisors) supervisor.start();
    return { scene, silent };
  }

  // Regression: no other path could authenticate for 5 s.
  test('is overtaken by the next path within the time goal, and joins later', () => {
    const { scene, silent } = sceneWithSilentFirst();
    scene.clock.advance(FIRST_HANDSHAKE_PATIENCE_MS - 1);
    expect(scene.states).toEqual(['proving', 'down']);
    scene.clock.advance(JOIN_RETRY_MS + 2);
    expect(scene.states[1]).toBe('up');
    expect(silent[0]?.closedReason).not.toBeNull();
    expect(scene.supervisors[0]!.lastError?.message).toContain('another path goes first');
    scene.clock.advance(1000);
    expect([scene.states, scene.sessions]).toEqual([['up', 'up'], [false]]);
  });

  test('cannot restore its session with a late WELCOME', () => {
    const { scene, silent } = sceneWithSilentFirst();
    scene.clock.advance(FIRST_HANDSHAKE_PATIENCE_MS + JOIN_RETRY_MS + 2);
    expect(scene.sessions).toEqual([false]);
    expect(silent[0]!.connection.isClosed).toBe(true);
  });
});
