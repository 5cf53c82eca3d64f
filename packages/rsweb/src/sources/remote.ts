// The rsweb of another machine as a source, through its /picture.json. The peer is not trusted, so the answer is bounded in time, size,
// depth and shape. Invariants: certificates are always verified; redirects are not followed; the token is sent to the configured address
// only.

import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import type { Clock } from '@rsio/base/lib/clock';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import { programVersion } from '@rsio/base/lib/version';
import { readCertificateAuthority, readToken } from '../config/credentials.ts';
import type { WebSource } from '../config/rswebcfg.ts';
import type { Picture } from '../model/picture.ts';
import { finding } from '../model/remedies.ts';
import { answerIn } from './answer.ts';
import { REMOTE_ANSWER_MAX_BYTES, REMOTE_ANSWER_MS, REST_FACTOR } from '../limits.ts';
import { type Source, withoutAnswer } from './source.ts';

export class Remote implements Source {
  readonly name: string;
  readonly isOwn = false;
  restMs = 0;
  private readonly source: WebSource;
  private readonly clock: Clock;
  private readonly agent: HttpAgent | TlsAgent;
  private readonly isTls: boolean;
  /** The error with which the token or the certificate could not be read when the configuration was applied; null if both were read. */
  private readonly trouble: RsError | null;
  private readonly token: string = '';

  constructor(source: WebSource, clock: Clock) {
    this.name = `source ${source.name}`;
    this.source = source;
    this.clock = clock;
    this.isTls = source.url.startsWith('https:');
    const common = { keepAlive: true, maxSockets: 1, maxFreeSockets: 1 };
    let trouble: RsError | null = null;
    let agent: HttpAgent | TlsAgent = new HttpAgent(common);
    try {
      const { certificateAuthority, tokenFile } = source;
      this.token = readToken(tokenFile);
      const ca = certificateAuthority === null ? {} : { ca: readCertificateAuthority(certificateAuthority) };
      if (this.isTls) agent = new TlsAgent({ ...common, ...ca, minVersion: 'TLSv1.2' });
    } catch (thrown) {
      trouble = toRsError(thrown);
    }
    this.agent = agent;
    this.trouble = trouble;
  }

  async sample(): Promise<Picture> {
    if (this.trouble !== null) throw this.trouble;
    this.restMs = 0;
    const bytes = await this.fetched();
    const beganMs = this.clock.monotonicMs();
    try {
      return this.pictureIn(bytes);
    } finally {
      this.restMs = (this.clock.monotonicMs() - beganMs) * REST_FACTOR;
    }
  }

  private pictureIn(bytes: Buffer): Picture {
    const { name } = this.source;
    const answered = answerIn(bytes, this.name, name);
    if (answered.kind === 'picture') return answered.picture;
    if (answered.kind === 'nonsense') throw this.nonsense(answered.why);
    const sentence = `The rsweb of ${name} has release ${answered.release}, this one has ${programVersion()}: use one release for both`;
    throw new RsError('E_VERSION', sentence);
  }

  failed(thrown: unknown, last: Picture | null): Picture {
    const { message } = toRsError(thrown);
    const { name } = this.source;
    const told = finding('error', 'source', message, { where: `machine ${name}`, href: null });
    const machine = { id: this.name, name, isLocal: false, state: 'silent', reason: told.what, programs: [] } as const;
    return { ...withoutAnswer(last, told.what, [told]), takenMs: this.clock.wallMs(), machines: [machine] };
  }

  close(): void {
    this.agent.destroy();
  }

  private fetched(): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const start = this.isTls ? tlsRequest : httpRequest;
      const headers = { Authorization: `Bearer ${this.token}`, Accept: 'application/json' };
      const request: ClientRequest = start(`${this.source.url}/picture.json`, { agent: this.agent, headers });
      const timer = this.clock.after(REMOTE_ANSWER_MS, () => {
        request.destroy(
          new RsError(
            'E_TIMEOUT',
            this.sentence(`has not answered within ${REMOTE_ANSWER_MS / 1_000} s`, 'see that it runs and is in reach'),
          ),
        );
      });
      const ended = (outcome: () => void): void => {
        timer.cancel();
        outcome();
      };
      request.on('error', (error) => ended(() => reject(this.explained(error))));
      request.on('response', (response) => {
        this.body(response).then(
          (bytes) => ended(() => resolve(bytes)),
          (error: unknown) => {
            request.destroy();
            ended(() => reject(this.explained(error)));
          },
        );
      });
      request.end();
    });
  }

  private async body(response: IncomingMessage): Promise<Buffer> {
    const { statusCode = 0 } = response;
    if (statusCode === 401)
      throw new RsError('E_RIGHTS', this.sentence('refuses the token', `put one of its tokens into ${this.source.tokenFile}, and reload`));
    if (statusCode === 421)
      throw new RsError('E_RIGHTS', this.sentence('does not know its name', 'add it to names in [web] of its rswebcfg'));
    if (statusCode !== 200)
      throw new RsError('E_PROTOCOL', this.sentence(`answers with status ${statusCode}`, 'check that its url leads to an rsweb'));
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes > REMOTE_ANSWER_MAX_BYTES) throw this.nonsense(`it has more than ${REMOTE_ANSWER_MAX_BYTES} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  private nonsense(why: string): RsError {
    return new RsError('E_PROTOCOL', this.sentence(`sends an answer that cannot be used (${why})`, 'see its log, and restart it'));
  }

  private explained(error: unknown): unknown {
    if (error instanceof RsError) return error;
    const code = errnoName(error) ?? (error instanceof Error && 'code' in error ? String(error.code) : '');
    if (code === 'ECONNREFUSED') return new RsError('E_NOT_RUNNING', this.sentence('does not run', 'start rsweb there'));
    if (/^(CERT|UNABLE|SELF_SIGNED|DEPTH|ERR_TLS|ERR_SSL)/.test(code)) {
      const remedy = 'check its certificate, and certificate-authority of this source';
      return new RsError('E_TLS', this.sentence(`does not prove its identity (${code})`, remedy));
    }
    return new RsError('E_UNREACHABLE', this.sentence(`cannot be reached (${code})`, 'see that its machine runs and is in reach'));
  }

  private sentence(is: string, remedy: string): string {
    return `The rsweb of ${this.source.name} (${this.source.url}) ${is}: ${remedy}`;
  }
}
