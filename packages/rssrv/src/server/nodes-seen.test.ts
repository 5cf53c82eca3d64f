// Tests what a server tells clients about other nodes: only about nodes that may use the same volume or mirror.
// test/conformance/server/nodes-seen.ts asks over sessions.

import { expect, it } from 'vitest';
import { STATUS } from '@rsio/protocol/wire/status';
import type { VoterRecord } from '../mirrors/voter-rules.ts';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { nodesSeen } from './nodes-seen.ts';

const RECORD = { stored: null, founder: 'mars' } as VoterRecord;
const PARTS = {
  volumes: { served: [{ id: 'v', clients: ['big-2', 'big-6', 'gone'] }] as unknown as ServedVolume[] },
  voters: { recordOf: (mirror: string) => (mirror === 'm' ? RECORD : null) },
  admissions: { silentMs: (node: string) => (node === 'gone' ? null : node.length) },
};
const ask = (id: string, ...nodes: string[]) => ({ what: 'nodes-seen', id, nodes }) as const;

it('tells a client of a volume about the other clients of it, and about nobody else', () => {
  expect(nodesSeen(PARTS, 'big-2', ask('v', 'big-6', 'mars', 'gone', 'big-2')).silentMs).toEqual([5, null, null, 5]);
  expect(nodesSeen(PARTS, 'mars', ask('v', 'big-6'))).toMatchObject({ nodesStatus: STATUS.UNKNOWN_VOLUME, silentMs: [] });
  expect(nodesSeen(PARTS, 'big-2', ask('x', 'big-6'))).toMatchObject({ nodesStatus: STATUS.UNKNOWN_VOLUME });
});

it('tells those that may use the record of a mirror', () => {
  expect(nodesSeen(PARTS, 'mars', ask('m', 'mars', 'big-2')).silentMs).toEqual([4, null]);
  expect(nodesSeen(PARTS, 'big-2', ask('m', 'big-2'))).toMatchObject({ nodesStatus: STATUS.UNKNOWN_VOLUME });
});
