// The login PDUs of one connection: passes requests to login/login.ts, and encodes its answers. Sans-I/O. Source: RFC 7143, 11.12, 11.13.
// Invariant: the answer that ends the login is written only by `welcome`, when the session has begun.

import type { AnswerWriter } from './answer-writer.ts';
import { Login, type LoginAnswer, type LoginNames, type LoginPorts } from './login/login.ts';
import type { KeyValues, SessionParameters } from './login/negotiation.ts';
import type { SessionNumbers } from './session-numbers.ts';
import { LOGIN, LOGIN_STATUS, type LoginStatus, OPCODE_MASK, REQUEST, RESPONSE } from './wire/constants.ts';
import { printText } from './wire/text.ts';

const NO_TEXT = Buffer.alloc(0);

export interface LoginPhasePorts {
  readonly writer: AnswerWriter;
  readonly numbers: SessionNumbers;
  readonly login: LoginPorts;
  /** The initiator has logged in, and waits for `welcome`. */
  done(names: LoginNames): void;
  /** The initiator does not get in. The answer has been written. */
  refused(why: string): void;
  /** The host has sent something other than a login. */
  fault(why: string): void;
}

export class LoginPhase {
  private readonly ports: LoginPhasePorts;
  private readonly login: Login;
  private readonly head = Buffer.alloc(48);
  private text = NO_TEXT;
  private isFirst = true;
  private answer: { readonly flags: number; readonly keys: KeyValues } | null = null;

  constructor(ports: LoginPhasePorts, portalGroup: number) {
    this.ports = ports;
    this.login = new Login(ports.login, portalGroup);
  }

  get parameters(): SessionParameters {
    return this.login.parameters;
  }

  header(head: Buffer, dataBytes: number): Buffer | null {
    if ((head[0]! & OPCODE_MASK) !== REQUEST.LOGIN || this.answer !== null) {
      this.ports.fault('its host has sent something else than a login');
      return null;
    }
    head.copy(this.head, 0, 0, this.head.length);
    this.text = dataBytes === 0 ? NO_TEXT : Buffer.alloc(dataBytes);
    return this.text;
  }

  data(): void {
    const { head, ports } = this;
    if (this.isFirst) {
      const first = head.readUInt32BE(24);
      ports.numbers.expCmdSn = first;
      ports.numbers.maxCmdSn = first;
    }
    this.isFirst = false;
    // The initiator's lowest version; 0 is the only version.
    if (head[3] !== 0) return this.refuse(LOGIN_STATUS.VERSION, 'it speaks another version of iSCSI');
    const answer = this.login.take({
      flags: head[1]!,
      isid: head.toString('hex', 8, 14),
      tsih: head.readUInt16BE(14),
      text: this.text,
    });
    this.text = NO_TEXT;
    this.say(answer);
  }

  /** Ends the login: the session with this number has begun. */
  welcome(tsih: number): void {
    const { answer } = this;
    if (answer !== null) this.write(answer.flags, LOGIN_STATUS.SUCCESS, answer.keys, tsih);
  }

  refuse(status: LoginStatus, why: string): void {
    this.write(0, status, [], this.head.readUInt16BE(14));
    this.ports.refused(why);
  }

  private say(answer: LoginAnswer): void {
    const { names } = this.login;
    if (answer.kind === 'refused') return this.refuse(answer.status, answer.why);
    if (answer.kind === 'answer' || names === null)
      return this.write(answer.flags, LOGIN_STATUS.SUCCESS, answer.keys, this.head.readUInt16BE(14));
    this.answer = answer;
    this.ports.done(names);
  }

  private write(flags: number, status: LoginStatus, keys: KeyValues, tsih: number): void {
    const { head } = this;
    const transit = status === LOGIN_STATUS.SUCCESS ? flags : flags & ~LOGIN.TRANSIT;
    this.ports.writer.short({ opcode: RESPONSE.LOGIN, flags: transit, tag: head.readUInt32BE(16), data: printText(keys) }, (bytes, at) => {
      head.copy(bytes, at + 8, 8, 14);
      bytes.writeUInt16BE(tsih, at + 14);
      bytes.writeUInt16BE(status, at + 36);
    });
  }
}
