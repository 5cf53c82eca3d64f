// Which connection ends when there is no room for one more: in floods of each kind, and for any order of events. The oracles are a list of
// the connections that are there, and the bounds.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Door, type DoorPlace } from './door.ts';
import { GATE_CONNECTIONS_MAX, GATE_UNPROVEN_EACH_MAX, GATE_UNPROVEN_MAX } from './limits.ts';

class Scene {
  readonly door = new Door();
  /** Names of connections that were ended, in order. */
  readonly ended: string[] = [];
  private readonly places = new Map<string, DoorPlace>();

  /** A connection comes. Returns false if it is not let in. */
  comes(name: string, source = 'stranger'): boolean {
    const place = this.door.enter(source, () => this.ended.push(name));
    if (place !== null) this.places.set(name, place);
    return place !== null;
  }

  at(name: string): DoorPlace {
    return this.places.get(name)!;
  }

  /** Hosts that have logged in take all places. */
  fill(): void {
    for (let at = 0; at < GATE_CONNECTIONS_MAX; at++) {
      expect(this.comes(`host ${at}`, `address ${at}`)).toBe(true);
      this.at(`host ${at}`).proven();
    }
  }
}

it('a flood of silent connections from one address ends its own oldest ones', () => {
  const scene = new Scene();
  scene.comes('good', 'host');
  for (let at = 0; at < 1000; at++) expect(scene.comes(`flood ${at}`)).toBe(true);
  expect(scene.door.unproven).toBe(1 + GATE_UNPROVEN_EACH_MAX);
  expect(scene.ended).toEqual(Array.from({ length: 1000 - GATE_UNPROVEN_EACH_MAX }, (_, at) => `flood ${at}`));
});

it('a flood from many addresses ends connections of the addresses with the most of them', () => {
  const scene = new Scene();
  scene.comes('good', 'host');
  for (let at = 0; at < 1000; at++) expect(scene.comes(`flood ${at}`, `stranger ${at % 10}`)).toBe(true);
  expect(scene.door.unproven).toBe(GATE_UNPROVEN_MAX);
  expect(scene.ended).not.toContain('good');
});

it('a host that has sent something stays behind silent ones of its own address, and one that goes on behind those that stopped', () => {
  const scene = new Scene();
  scene.comes('good');
  scene.at('good').heard();
  for (let at = 0; at < 100; at++) scene.comes(`silent ${at}`);
  expect(scene.ended).not.toContain('good');
  for (let at = 0; at < 100; at++) {
    scene.comes(`stops ${at}`);
    scene.at(`stops ${at}`).heard();
    scene.at('good').heard();
  }
  expect(scene.ended).not.toContain('good');
  scene.at('good').proven();
  for (let at = 0; at < 100; at++) scene.comes(`more ${at}`);
  expect(scene.ended).not.toContain('good');
});

it('connections of hosts that have logged in never end; a stranger has the place of another one, or none', () => {
  const scene = new Scene();
  scene.fill();
  expect([scene.comes('late'), scene.ended]).toEqual([false, []]);
  scene.at('host 0').left();
  expect([scene.comes('one'), scene.comes('another'), scene.ended]).toEqual([true, true, ['one']]);
  expect(scene.door.connections).toBe(GATE_CONNECTIONS_MAX + 1);
  scene.at('one').left();
  expect(scene.door.connections).toBe(GATE_CONNECTIONS_MAX);
});

it('the bounds hold in any order, and nothing counts when all have left', () => {
  const step = fc.record({
    what: fc.constantFrom('comes', 'comes', 'comes', 'heard', 'proven', 'left'),
    which: fc.nat(400),
    source: fc.nat(9),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
      const door = new Door();
      const there = new Map<DoorPlace, { isProven: boolean; isEnded: boolean }>();
      for (const { what, which, source } of steps) {
        const place = [...there.keys()][which % Math.max(1, there.size)];
        if (what === 'comes') {
          const state = { isProven: false, isEnded: false };
          const made = door.enter(`source ${source}`, () => {
            expect([state.isProven, state.isEnded]).toEqual([false, false]);
            state.isEnded = true;
          });
          if (made !== null) there.set(made, state);
          else expect([...there.values()].every(({ isProven, isEnded }) => isProven || isEnded)).toBe(true);
        } else if (what === 'heard') place?.heard();
        else if (what === 'proven' && place !== undefined) {
          place.proven();
          there.get(place)!.isProven = !there.get(place)!.isEnded;
        } else if (place !== undefined) {
          place.left();
          there.delete(place);
        }
        const open = [...there.values()].filter(({ isEnded }) => !isEnded);
        expect(door.unproven).toBe(open.filter(({ isProven }) => !isProven).length);
        expect(door.unproven).toBeLessThanOrEqual(GATE_UNPROVEN_MAX);
        expect(open.length).toBeLessThanOrEqual(GATE_CONNECTIONS_MAX);
        expect(door.connections).toBe(there.size);
      }
      for (const place of there.keys()) place.left();
      expect([door.connections, door.unproven]).toEqual([0, 0]);
    }),
  );
});
