// The faults that the netlab can give one of several links. Each fault has a function that begins it, a function that ends it, and a
// sentence that describes it. netlab.ts has the cards and cables. The caller measures how the fault affects I/O. Invariant: after the end
// of a fault, the link works as before.

import type { TestContext } from 'vitest';
import { needTool } from '../programs/programs.ts';
import type { Machine } from './netlab.ts';

/** One cable between client and server. Each machine has a card at its end of the cable. */
export interface Link {
  readonly client: Machine;
  readonly server: Machine;
  /** Name of the card on both machines. */
  readonly device: string;
  readonly clientAddress: string;
  readonly serverAddress: string;
  readonly port: number;
  readonly bitsPerSecond: number;
  readonly congestion: string;
}

export interface LinkFault {
  readonly name: string;
  readonly sentence: string;
  /**
   * Goals in ms. `gapGoalMs`: longest time in which no I/O is answered. `worstGoalMs`: time of the slowest request. Null: the fault has no
   * goal of this kind.
   */
  readonly gapGoalMs: number | null;
  readonly worstGoalMs: number | null;
  /** Whether the fault ends the path. */
  readonly isFatal: boolean;
  begin(link: Link): Promise<void>;
  /** Ends the fault, even if `begin` failed after a part of its work. */
  end(link: Link): Promise<void>;
}

export const PREFIX_LENGTH = 24;
/** A flapping cable is alternately in for this time and out for this time. */
export const FLAP_MS = 1_000;
const ALL = 1000;
const ONE_PERCENT = 10;

const SILENT = { gapGoalMs: 500, worstGoalMs: 1_000, isFatal: true };
const SEEN = { gapGoalMs: 100, worstGoalMs: 300, isFatal: true };
const LIVED_WITH = { gapGoalMs: null, worstGoalMs: null, isFatal: false };

export const LINK_FAULTS: readonly LinkFault[] = [
  {
    name: 'reset',
    sentence: 'The connection is reset (ss -K at the client)',
    ...SEEN,
    gapGoalMs: 50,
    worstGoalMs: null,
    begin: async ({ client, serverAddress, port }) => {
      await client.shell(`ss -K dst ${serverAddress} dport = ${port}`);
    },
    end: async () => undefined,
  },
  {
    name: 'cable',
    sentence: "The client's cable is pulled: its card loses the carrier",
    ...SEEN,
    begin: ({ client, device }) => client.cable(device, 'out'),
    end: ({ client, device }) => client.cable(device, 'in'),
  },
  {
    name: 'down',
    sentence: "The client's interface is set down",
    ...SEEN,
    begin: async ({ client, device }) => void (await client.ip('link', 'set', device, 'down')),
    end: async ({ client, device, clientAddress, congestion }) => {
      await client.ip('link', 'set', device, 'up');
      await client.setCongestion(device, clientAddress, congestion);
    },
  },
  {
    name: 'address',
    sentence: "The client's address is removed",
    ...SEEN,
    begin: async ({ client, device, clientAddress }) => {
      await client.ip('address', 'del', `${clientAddress}/${PREFIX_LENGTH}`, 'dev', device);
    },
    end: async ({ client, device, clientAddress, congestion }) => {
      await client.ip('address', 'replace', `${clientAddress}/${PREFIX_LENGTH}`, 'broadcast', '+', 'dev', device);
      await client.setCongestion(device, clientAddress, congestion);
    },
  },
  {
    name: 'silent',
    sentence: 'Silent both ways: every frame is lost, both cards keep their carrier',
    ...SILENT,
    begin: async ({ client, server, device }) => {
      await Promise.all([client.lose(device, ALL), server.lose(device, ALL)]);
    },
    end: async ({ client, server, device }) => {
      await Promise.all([client.lose(device, 0), server.lose(device, 0)]);
    },
  },
  {
    name: 'silent-to-server',
    sentence: 'Silent one way: what the client sends is lost',
    ...SILENT,
    begin: ({ client, device }) => client.lose(device, ALL),
    end: ({ client, device }) => client.lose(device, 0),
  },
  {
    name: 'silent-to-client',
    sentence: 'Silent one way: what the server sends is lost',
    ...SILENT,
    begin: ({ server, device }) => server.lose(device, ALL),
    end: ({ server, device }) => server.lose(device, 0),
  },
  {
    name: 'far-cable',
    sentence: "The server's cable is pulled: the client's card sees nothing of it",
    ...SILENT,
    begin: ({ server, device }) => server.cable(device, 'out'),
    end: ({ server, device }) => server.cable(device, 'in'),
  },
  {
    name: 'slow-10',
    sentence: 'The link is 10 times slower',
    ...LIVED_WITH,
    begin: (link) => shapeBoth(link, link.bitsPerSecond / 10),
    end: (link) => shapeBoth(link, link.bitsPerSecond),
  },
  {
    name: 'slow-100',
    sentence: 'The link is 100 times slower',
    ...LIVED_WITH,
    begin: (link) => shapeBoth(link, link.bitsPerSecond / 100),
    end: (link) => shapeBoth(link, link.bitsPerSecond),
  },
  {
    name: 'loss',
    sentence: 'One frame in a hundred is lost, both ways',
    ...LIVED_WITH,
    begin: async ({ client, server, device }) => {
      await Promise.all([client.lose(device, ONE_PERCENT), server.lose(device, ONE_PERCENT)]);
    },
    end: async ({ client, server, device }) => {
      await Promise.all([client.lose(device, 0), server.lose(device, 0)]);
    },
  },
  flapping(),
];

export function linkFault(name: string): LinkFault {
  const fault = LINK_FAULTS.find((one) => one.name === name);
  if (fault === undefined) throw new Error(`No fault ${name}: ${LINK_FAULTS.map((one) => one.name).join(', ')}`);
  return fault;
}

export function needFaults(context: TestContext): void {
  needTool(context, 'nft', 'nftables');
  needTool(context, 'tc', 'iproute2');
}

export async function shapeBoth({ client, server, device }: Link, bitsPerSecond: number): Promise<void> {
  await Promise.all([client.shape(device, bitsPerSecond), server.shape(device, bitsPerSecond)]);
}

/** A fault that pulls the cable for a second and puts it back for a second, again and again until the fault ends. */
function flapping(): LinkFault {
  let timer: NodeJS.Timeout | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  return {
    name: 'flapping',
    sentence: "The client's cable is pulled and put back, every 2 s",
    ...SEEN,
    begin: async ({ client, device }) => {
      let isIn = true;
      const flap = (): void => {
        isIn = !isIn;
        turn = turn.then(() => client.cable(device, isIn ? 'in' : 'out'));
      };
      flap();
      timer = setInterval(flap, FLAP_MS);
      await turn;
    },
    end: async ({ client, device }) => {
      clearInterval(timer);
      await turn;
      await client.cable(device, 'in');
    },
  };
}
