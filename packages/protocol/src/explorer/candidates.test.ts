// Tests which interfaces are paired, and that a reason is given for each unpaired interface.
// probe.test.ts probes the candidates.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { considerCandidates, pairCandidates } from './candidates.ts';

function local(
  name: string,
  address: string,
  prefixLength: number | null = 24,
): { name: string; address: string; prefixLength: number | null } {
  return { name, address, prefixLength };
}

function remote(name: string, address: string): { name: string; address: string } {
  return { name, address };
}

const IF0 = local('if0', '192.168.45.20');
const IF1 = local('if1', '192.168.46.20');
const SRV1 = remote('srv1', '192.168.45.10');
const SRV2 = remote('srv2', '192.168.46.10');
const FAR = remote('far', '10.9.9.9');

function shown(locals: ReturnType<typeof local>[], remotes: ReturnType<typeof remote>[], choice: 'auto' | 'all' = 'auto'): string[] {
  const { candidates, leftOut } = considerCandidates(locals, remotes, choice);
  return [
    ...candidates.map((candidate) => `${candidate.local.name} ${candidate.remote.name}`),
    ...leftOut.map((out) => `${out.local?.name ?? out.remote?.name}: ${out.reason}`),
  ];
}

test('pairs on a common subnet; each other interface has a reason', () => {
  expect(shown([IF0, IF1], [SRV1, SRV2])).toEqual(['if0 srv1', 'if1 srv2']);
  expect(shown([IF0, IF1], [SRV2, FAR])).toEqual([
    'if1 srv2',
    'if0: not on a common subnet with any interface of the server',
    'far: not on a common subnet with any interface of the client',
  ]);
});

test('two interfaces in one subnet are paired in every combination', () => {
  expect(shown([IF0, local('if9', '192.168.45.21')], [SRV1])).toEqual(['if0 srv1', 'if9 srv1']);
});

test('without any common subnet, by position', () => {
  const reason = 'not on a common subnet with any interface of the server, and the server has no interface at the same position';
  expect(shown([IF0, IF1], [FAR])).toEqual(['if0 far', `if1: ${reason}`]);
  expect(shown([local('if0', '192.168.45.20', null)], [SRV1, SRV2])[0]).toBe('if0 srv1');
  expect(pairCandidates([local('if0', '192.168.45.20', null)], [SRV1, SRV2], 'auto')).toHaveLength(1);
});

test('every pair, on request', () => {
  expect(shown([IF0, IF1], [SRV1, FAR], 'all')).toEqual(['if0 srv1', 'if0 far', 'if1 srv1', 'if1 far']);
});

test('address families do not mix', () => {
  expect(shown([IF0], [remote('six', 'fd00::1')], 'all')).toEqual([
    'if0: no interface of the server has an address of the same family',
    'six: no interface of the client has an address of the same family',
  ]);
});

test('every interface is in a candidate or has a reason', () => {
  const address = fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.1.1', '10.0.2.1', 'fd00::1', 'fd00::2');
  const locals = fc.array(fc.record({ name: fc.string(), address, prefixLength: fc.constantFrom(null, 24, 16, 64) }), { maxLength: 8 });
  const remotes = fc.array(fc.record({ name: fc.string(), address }), { maxLength: 8 });
  fc.assert(
    fc.property(locals, remotes, fc.constantFrom('auto', 'all'), (ours, theirs, choice) => {
      const { candidates, leftOut } = considerCandidates(ours, theirs, choice);
      expect(pairCandidates(ours, theirs, choice)).toEqual(candidates);
      for (const one of ours) {
        expect(candidates.some((candidate) => candidate.local === one)).toBe(leftOut.every((out) => out.local !== one));
      }
      for (const one of theirs) {
        expect(candidates.some((candidate) => candidate.remote === one)).toBe(leftOut.every((out) => out.remote !== one));
      }
      expect(leftOut.every(({ reason }) => reason.length > 0)).toBe(true);
    }),
  );
});
