// Mutants of rules S9 and S10, where the end of one session meets the beginning of the next. In production, rssrv's listener keeps these
// rules (Admissions and the worker pool); its code needs real processes. These mutants therefore break the simulator's listener, which runs
// the same sessions. The integration tests test the production listener.

import type { Proven } from '@rsio/protocol/auth/handshake-server';
import { admissionOf } from '@rsio/rssrv/session/server-path';
import { override } from '../../base/override.ts';
import type { SimEnd } from '../../network/sim-link.ts';
import { SimServer, type ServerPorts } from '../../machines/sim-server.ts';
import { interfaceAt } from '../../machines/sim-identity.ts';
import { SimSession } from '../../machines/sim-session.ts';
import type { Mutant, PrivateAs } from './mutant.ts';

interface ServerInner {
  sessions: PrivateAs<SimServer['sessions'], Map<string, SimSession>>;
  ports: PrivateAs<SimServer['ports'], ServerPorts>;
  begin: PrivateAs<SimServer['begin'], (end: SimEnd, proven: Proven) => void>;
}

type HandOver = [session: SimSession, end: SimEnd, proven: Proven];

export const LISTENER_MUTANTS: readonly Mutant[] = [
  {
    name: 'no-drain',
    rule: 'S9',
    breaks: 'A new session starts once the old one has been told to end, while that still executes',
    apply: () =>
      override<ServerInner, [readonly SimSession[], SimEnd, Proven], void>(SimServer, 'replace', () => (self, old, end, proven) => {
        for (const one of old) one.end('E_NO_SESSION', 'The client began a new session');
        self.begin(end, proven);
      }),
  },
  {
    name: 'late-socket',
    rule: 'S9',
    breaks: 'A socket on its way to a process is accepted by it after its end',
    apply: () =>
      override<ServerInner, HandOver, void>(SimServer, 'handOver', () => (self, session, end, proven) => {
        self.ports.clock.after(self.ports.random.unit() * self.ports.handOverMs, () => admit(session, end, proven));
      }),
  },
  {
    name: 'late-any-session',
    rule: 'S9',
    breaks: "A socket on its way to an ended session is handed to the next session's process",
    apply: () =>
      override<ServerInner, HandOver, void>(SimServer, 'handOver', () => (self, session, end, proven) => {
        self.ports.clock.after(self.ports.random.unit() * self.ports.handOverMs, () => {
          const next = self.sessions.get(session.node) ?? session;
          end.owner = next.process;
          admit(next, end, proven);
        });
      }),
  },
  {
    name: 'orphan',
    rule: 'S10',
    breaks: 'A process continues after its listener has ended, and the next listener does not end it',
    apply: () =>
      override<SimSession, [], void>(SimSession, 'kill', (original) => (self) => {
        if (!self.isOrphan) original(self);
      }),
  },
];

function admit({ session }: SimSession, end: SimEnd, proven: Proven): void {
  if (!end.isClosed) session.admit(end, admissionOf(proven, interfaceAt(end.localAddress)));
}
