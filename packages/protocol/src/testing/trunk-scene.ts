// A trunk with its supervisors over an in-memory network. The test plays the server: it decides when the server answers and what the answer
// is. The scene records the events from the trunk and its supervisors.

import type { RsError } from '@rsio/base/lib/errors';
import type { PathState } from '@rsio/base/lib/path-states';
import { Attachment } from '../client/attachment.ts';
import { PathSupervisor } from '../client/path-supervisor.ts';
import { Request, type RequestEvents } from '../client/requests/request.ts';
import { Trunk } from '../client/trunk.ts';
import { FEATURE } from '../wire/features.ts';
import { type OpenAnswer, TAKE } from '../wire/messages.ts';
import { CountingBufferPool, CountingOutputPool } from './counting-pools.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { MemoryNetwork } from './memory-network.ts';
import { IDEAL_LINK, type LinkShape } from './memory-transport.ts';
import { ScriptedServer } from './scripted-server.ts';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { StallingClock } from '@rsio/base/testing/stalling-clock';

export const OPEN_ANSWER: OpenAnswer = {
  handle: 3,
  id: 'id',
  sizeBytes: 1 << 30,
  blockSizeBytes: 512,
  readonly: false,
  shared: false,
  canDiscard: true,
  identity: 'identity',
  life: 'life',
};

export class TrunkScene implements RequestEvents {
  readonly clock: FakeClock;
  /** Clock of the client; all other parts of the scene use `clock`. */
  readonly clientClock: StallingClock;
  readonly random = new SeededRandom(1);
  readonly server = new ScriptedServer(this.random);
  readonly network: MemoryNetwork;
  readonly pools = { bodies: new CountingBufferPool(), outputs: new CountingOutputPool() };
  readonly supervisors: PathSupervisor[] = [];
  readonly moves: string[] = [];
  readonly errors: RsError[] = [];
  readonly sessions: boolean[] = [];
  readonly done: { readonly request: Request; readonly status: number }[] = [];
  readonly trunk: Trunk;
  private readonly tls: boolean;
  readonly attachment = new Attachment('oracle', 0, false, TAKE.NO, null);
  listChanges = 0;
  readonly replaced: string[] = [];
  whenSession: () => void = () => {};
  quietTimes = 0;
  whenEnded: (status: number, reason: string) => void = () => {};

  /** `clock`: the clock of several scenes. */
  constructor(paths: number, shape: LinkShape = IDEAL_LINK, tls = false, clock = new FakeClock()) {
    this.clock = clock;
    this.clientClock = new StallingClock(clock);
    this.tls = tls;
    this.server.tls = tls;
    this.network = new MemoryNetwork(this.clock, shape, (end) => this.server.accept(end));
    this.trunk = new Trunk(
      this.clientClock,
      { heartbeatMs: 1000, suspectMs: 200, deadMs: 3000 },
      {
        sessionBegan: (again) => {
          this.sessions.push(again);
          this.whenSession();
        },
        listChanged: () => this.listChanges++,
        allQuiet: () => this.quietTimes++,
        interfacesReported: () => {},
        replaced: (sentence) => this.replaced.push(sentence),
        ended: (status, reason) => this.whenEnded(status, reason),
      },
    );
    for (let index = 0; index < paths; index++) this.addPath(index);
  }

  /** Brings the paths up, one after another, and opens the attachment. */
  start(): this {
    for (const supervisor of this.supervisors) {
      supervisor.start();
      this.clock.advance(1);
    }
    this.trunk.addAttachment(this.attachment);
    this.attachment.opened(OPEN_ANSWER);
    return this;
  }

  get states(): PathState[] {
    return this.supervisors.map(({ state }) => state);
  }

  submit(op: number, fields: Partial<Request> = {}): Request {
    const request = Object.assign(new Request(), { op, events: this, attachment: this.attachment, ...fields });
    this.trunk.submit(request);
    return request;
  }

  statusOf(request: Request): number | null {
    return this.done.find((entry) => entry.request === request)?.status ?? null;
  }

  requestDone(request: Request, status: number): void {
    this.done.push({ request, status });
  }

  private addPath(index: number): void {
    const [localAddress, address] = [`127.45.0.${index + 1}`, `127.45.1.${index + 1}`];
    this.network.addRoute(localAddress, address);
    const hello = {
      versions: [1],
      features: [FEATURE.DIGEST, FEATURE.REVOKE, FEATURE.ADMIN, FEATURE.MIRROR, ...(this.tls ? [FEATURE.TLS] : [])],
      namespaceid: 1,
      node: 'node',
      instance: 1,
      machine: 'm',
      boot: 'b',
      process: 'p',
      interface: 'if0',
    };
    this.supervisors.push(
      new PathSupervisor(
        { localAddress, address, port: 5000 },
        { nodekey: this.server.nodekey, serverkey: null, hello },
        {
          clock: this.clientClock,
          connector: this.network,
          random: this.random.bytes,
          pools: this.pools,
          trunkFor: () => this.trunk,
          stateChanged: (_supervisor, from, to) => this.moves.push(`${index}: ${from} > ${to}`),
        },
        null,
      ),
    );
  }
}
