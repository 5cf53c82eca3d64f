// The login of one connection: from the first login request to the full feature phase. Sans-I/O. Source: RFC 7143, chapter 6. Invariants: no
// initiator gets past the security stage without the proof that the gate demands of it; the stages only go forward; after a refusal, nothing
// is negotiated any more.

import { isHostName } from '../../ports/host-name.ts';
import { GATE_LOGIN_REQUESTS_MAX, GATE_SEGMENT_BYTES, GATE_TEXT_MAX_BYTES } from '../../limits.ts';
import { LOGIN, LOGIN_STATUS, type LoginStatus, STAGE } from '../wire/constants.ts';
import { parseText } from '../wire/text.ts';
import { Chap, type ChapFault, type ChapParties } from './chap.ts';
import { defaultParameters, type KeyValues, negotiate, type SessionParameters } from './negotiation.ts';

/** What an initiator declares about itself. Names are in lower case. */
export interface LoginNames {
  readonly initiatorName: string;
  /** Null for a session that only looks for targets. */
  readonly targetName: string | null;
  /** 12 hexadecimal digits. */
  readonly isid: string;
  /** 0 for a new session. */
  readonly tsih: number;
}

export interface LoginPorts {
  /** Decides whether the initiator may log in to the target, and how it has to prove itself; null if it need not. */
  admits(names: LoginNames): LoginStatus | ChapParties | null;
  unproven(initiatorName: string, fault: ChapFault): void;
  random(bytes: number): Buffer;
}

export interface LoginRequest {
  readonly flags: number;
  readonly isid: string;
  readonly tsih: number;
  readonly text: Buffer;
}

/** `done`: the last answer of the login; the session begins before it is sent. `why` is a sentence without its subject. */
export type LoginAnswer =
  | { readonly kind: 'answer' | 'done'; readonly flags: number; readonly keys: KeyValues }
  | { readonly kind: 'refused'; readonly status: LoginStatus; readonly why: string };

type Keys = ReadonlyMap<string, string>;

export class Login {
  readonly parameters: SessionParameters = defaultParameters();
  names: LoginNames | null = null;
  private readonly ports: LoginPorts;
  private readonly portalGroup: number;
  private readonly parts: Buffer[] = [];
  private textBytes = 0;
  private requests = 0;
  private stage = STAGE.SECURITY as number;
  private chap: Chap | null = null;
  private mustProve = false;
  private hasDeclared = false;
  /** Keys that the initiator has sent. */
  private readonly said = new Set<string>();

  /** `portalGroup`: the number of this gate among the gates of its target. */
  constructor(ports: LoginPorts, portalGroup: number) {
    this.ports = ports;
    this.portalGroup = portalGroup;
  }

  take(request: LoginRequest): LoginAnswer {
    const [stage, next] = [(request.flags >>> 2) & 3, request.flags & 3];
    const isTransit = (request.flags & LOGIN.TRANSIT) !== 0;
    const isContinued = (request.flags & LOGIN.CONTINUE) !== 0;
    this.requests++;
    if (this.requests > GATE_LOGIN_REQUESTS_MAX)
      return refused(LOGIN_STATUS.INITIATOR_ERROR, `its login has more than ${GATE_LOGIN_REQUESTS_MAX} requests`);
    const wrong = this.judgeFlags(stage, next, isTransit, isContinued);
    if (wrong !== null) return refused(LOGIN_STATUS.INITIATOR_ERROR, wrong);
    this.textBytes += request.text.length;
    if (this.textBytes > GATE_TEXT_MAX_BYTES)
      return refused(LOGIN_STATUS.INITIATOR_ERROR, `it has sent more than ${GATE_TEXT_MAX_BYTES} bytes of text`);
    this.parts.push(request.text);
    if (isContinued) return { kind: 'answer', flags: stage << 2, keys: [] };
    const keys = parseText(Buffer.concat(this.parts));
    this.parts.length = 0;
    if (typeof keys === 'string') return refused(LOGIN_STATUS.INITIATOR_ERROR, keys);
    for (const key of keys.keys()) if (this.said.has(key)) return refused(LOGIN_STATUS.INITIATOR_ERROR, `it has sent the key ${key} twice`);
    for (const key of keys.keys()) this.said.add(key);
    const answers: KeyValues = [];
    if (this.names === null) {
      const fault = this.identify(request, keys);
      if (fault !== null) return fault;
      if (!keys.has('SessionType') || keys.get('SessionType') === 'Normal')
        answers.push(['TargetPortalGroupTag', String(this.portalGroup)]);
    }
    this.stage = stage;
    const refusal = stage === STAGE.SECURITY ? this.secure(keys, answers) : this.operate(keys, answers);
    if (refusal !== null) return refusal;
    // Until the initiator is proven, the login stays in this stage.
    if (!isTransit || this.mustProve) return { kind: 'answer', flags: stage << 2, keys: answers };
    this.stage = next;
    return { kind: next === STAGE.FULL_FEATURE ? 'done' : 'answer', flags: LOGIN.TRANSIT | (stage << 2) | next, keys: answers };
  }

  private judgeFlags(stage: number, next: number, isTransit: boolean, isContinued: boolean): string | null {
    if (stage > STAGE.OPERATIONAL || stage < this.stage || (isTransit && isContinued)) return 'it has sent a login request out of turn';
    return isTransit && (next <= stage || next === 2) ? 'it wants to go to a stage that is none' : null;
  }

  private identify(request: LoginRequest, keys: Keys): LoginAnswer | null {
    const type = keys.get('SessionType') ?? 'Normal';
    if (type !== 'Normal' && type !== 'Discovery') return refused(LOGIN_STATUS.SESSION_TYPE, 'it wants a session of a type that is none');
    const initiatorName = keys.get('InitiatorName')?.toLowerCase();
    const targetName = type === 'Discovery' ? null : keys.get('TargetName')?.toLowerCase();
    if (initiatorName === undefined || targetName === undefined)
      return refused(LOGIN_STATUS.MISSING_PARAMETER, 'it has not said who it is and what it wants');
    if (!isHostName(initiatorName)) return refused(LOGIN_STATUS.INITIATOR_ERROR, 'its name is too long, or has odd characters');
    const names = { initiatorName, targetName, isid: request.isid, tsih: request.tsih };
    const admission = this.ports.admits(names);
    if (typeof admission === 'number') return refused(admission, refusalOf(admission, names));
    this.names = names;
    if (admission !== null) this.chap = new Chap(admission, (bytes) => this.ports.random(bytes));
    this.mustProve = admission !== null;
    return null;
  }

  private secure(keys: Keys, answers: KeyValues): LoginAnswer | null {
    const methods = keys.get('AuthMethod')?.split(',');
    if (methods !== undefined) {
      const chosen = this.mustProve ? 'CHAP' : 'None';
      if (!methods.includes(chosen))
        return unproven(this.mustProve ? 'it does not offer CHAP' : 'it wants to prove itself, and the gate has no secrets');
      answers.push(['AuthMethod', chosen]);
      return null;
    }
    if (!this.mustProve || this.chap === null) return null;
    if (!this.said.has('AuthMethod')) return unproven('it does not offer CHAP');
    const step = this.chap.step(keys);
    if (step.kind === 'failed') {
      this.ports.unproven(this.names?.initiatorName ?? '', step.fault);
      return unproven('it has not proven who it is');
    }
    answers.push(...step.keys);
    this.mustProve = step.kind !== 'proven';
    return null;
  }

  private operate(keys: Keys, answers: KeyValues): LoginAnswer | null {
    if (this.mustProve) return unproven('it has not proven who it is');
    const negotiated = negotiate(keys, this.parameters);
    if (typeof negotiated === 'string') return refused(LOGIN_STATUS.INITIATOR_ERROR, negotiated);
    answers.push(...negotiated);
    if (!this.hasDeclared) answers.push(['MaxRecvDataSegmentLength', String(GATE_SEGMENT_BYTES)]);
    this.hasDeclared = true;
    return null;
  }
}

function unproven(why: string): LoginAnswer {
  return refused(LOGIN_STATUS.AUTHENTICATION, why);
}

function refused(status: LoginStatus, why: string): LoginAnswer {
  return { kind: 'refused', status, why };
}

function refusalOf(status: LoginStatus, { initiatorName, targetName }: LoginNames): string {
  if (status === LOGIN_STATUS.NOT_FOUND) return `host ${initiatorName} wants target ${targetName ?? ''}, which is not here`;
  if (status === LOGIN_STATUS.OUT_OF_RESOURCES)
    return `host ${initiatorName} was refused: it has, or all hosts have, as many sessions as are allowed`;
  return `host ${initiatorName} was refused: the gate does not allow it (hosts, secret-file)`;
}
