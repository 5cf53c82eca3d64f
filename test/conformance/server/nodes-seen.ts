// NODES_SEEN: for how long a server has had no path of other nodes. Invariant: nobody holds a volume at the end of a case.
// The cases log a second node in and out.

import { HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { NODES_SEEN_MAX } from '@rsio/protocol/wire/limits';
import { IOCTL, NodesSeenAnswer, NodesSeenRequest, OpenAnswer, OpenRequest } from '@rsio/protocol/wire/messages';
import type { RawClient, RawRequest } from '../../support/peers/raw-peer.ts';
import { type ServerCase, serverCase } from '../base/case.ts';
import { answered, equals, failed, holds } from '../base/check.ts';
import { hex, pack } from '../base/pack.ts';
import type { Target } from '../base/target.ts';

const QUIET_WAIT_MS = 60_000;
const LOOK_MS = 100;

function asking(id: string, nodes: readonly string[]): RawRequest {
  return { op: OP.IOCTL, aux: IOCTL.NODES_SEEN, body: NodesSeenRequest.encode({ id, nodes }) };
}

async function times(path: RawClient, id: string, nodes: readonly string[]): Promise<readonly (number | null)[]> {
  const { aux, body } = await answered(path, asking(id, nodes));
  equals('aux', aux, IOCTL.NODES_SEEN);
  return NodesSeenAnswer.decode(body, 0, body.length).silentMs;
}

/** Returns the id of a volume that both nodes may use. */
async function anId({ options }: Target, path: RawClient): Promise<string> {
  const name = options.volumes.replica ?? '';
  const { body } = await answered(path, { op: OP.OPEN, body: OpenRequest.encode({ name, universe: 0, readonly: false }) });
  const { handle, id } = OpenAnswer.decode(body, 0, body.length);
  await answered(path, { op: OP.CLOSE, handle });
  return id;
}

const MALFORMED: readonly (readonly [id: string, what: string, body: Buffer])[] = [
  ['no-body', 'without a body', Buffer.alloc(0)],
  ['garbage', 'with a body that is no map', hex('c1')],
  ['no-nodes', 'about no node', pack({ id: 'x', nodes: [] })],
  ['no-name', 'about a node without a name', pack({ id: 'x', nodes: [''] })],
  ['no-id', 'without an id', pack({ nodes: ['a'] })],
  ['too-many', 'about more than NODES_SEEN_MAX nodes', pack({ id: 'x', nodes: Array.from({ length: NODES_SEEN_MAX + 1 }, () => 'a') })],
];

export const NODES_SEEN_CASES: readonly ServerCase[] = [
  serverCase(
    'nodes-seen.paths',
    'NODES_SEEN',
    'A node with a path is not silent; without one, its time grows; a node that may not use the volume has none',
    async (target) => {
      const path = await target.path();
      const other = await target.login(1);
      const id = await anId(target, path);
      const nodes = [target.options.nodes[0]!.node, target.options.nodes[1]!.node, 'no-such-node'];
      equals('Both have a path', await times(path, id, nodes), [0, 0, null]);
      other.close();
      for (let last = 0, tries = 0; last === 0; tries++) {
        holds(tries < 1000, 'The node without a path never became silent');
        await new Promise((resolve) => setImmediate(resolve));
        last = (await times(path, id, nodes))[1] ?? -1;
      }
      const [mine, first] = await times(path, id, nodes);
      const [, later] = await times(path, id, nodes);
      equals('My own time', mine, 0);
      holds((later ?? 0) >= (first ?? 0) && (first ?? 0) > 0, 'The time of a silent node fell');
    },
    { needs: ['replica volume', 'second node'] },
  ),
  serverCase(
    'nodes-seen.quiet',
    'NODES_SEEN',
    'A node that keeps its paths open and sends nothing is silent from its last frame on',
    async (target) => {
      const path = await target.path();
      const id = await anId(target, path);
      const other = await target.login(1);
      const nodes = [target.options.nodes[1]!.node];
      const beganMs = performance.now();
      const when = async (isSilent: boolean): Promise<number> => {
        for (;;) {
          const [ms = null] = await times(path, id, nodes);
          if (ms !== null && ms > 0 === isSilent) return ms;
          holds(performance.now() - beganMs < QUIET_WAIT_MS, `After ${QUIET_WAIT_MS} ms, the node is silent for ${ms} ms`);
          await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
        }
      };
      const silentMs = await when(true);
      holds(silentMs >= HEARTBEAT_INTERVAL_MS, `The node is silent for ${silentMs} ms, which does not count from its last frame`);
      // The path is still open.
      await anId(target, other);
      equals('The node is heard again', await when(false), 0);
    },
    { needs: ['replica volume', 'second node'] },
  ),
  serverCase('nodes-seen.unknown', 'NODES_SEEN', 'NODES_SEEN about a volume that does not exist is UNKNOWN_VOLUME', async (target) => {
    await failed(await target.path(), asking('no-such-volume', ['a']), 'UNKNOWN_VOLUME');
  }),
  ...MALFORMED.map(([id, what, body]) =>
    serverCase(`nodes-seen.${id}`, 'NODES_SEEN', `NODES_SEEN ${what}: BAD_REQUEST`, async (target) => {
      await failed(await target.path(), { op: OP.IOCTL, aux: IOCTL.NODES_SEEN, body }, 'BAD_REQUEST');
    }),
  ),
];
