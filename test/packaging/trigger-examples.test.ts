// Tests the example programs for [trigger]: the mail goes to a sendmail of the test, and the webhook to a small HTTP server. Unit tests in
// packages/common/src/triggers cover how triggers are started.

import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { needTool, type RunResult, start } from '../support/programs/programs.ts';

const EVENT = {
  event: 'event',
  trigger: 'mail',
  server: 'big-9',
  number: 7,
  atMs: 5,
  object: 'pool fast',
  from: 'ready',
  to: 'unavailable',
  reason: 'It says "no"\nSubject: forged',
  lost: 0,
};
const INPUT = `${JSON.stringify(EVENT)}\n`;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-examples-'));
});

afterEach(() => removeFolder(folder));

function runExample(name: string, env: Readonly<Record<string, string>>): Promise<RunResult> {
  const program = start('sh', ['-c', 'head -n 1 | "$0"', fileURLToPath(new URL(`../../packaging/examples/${name}`, import.meta.url))], {
    env,
    isWrittenTo: true,
  });
  program.write(INPUT);
  return program.ended;
}

it('the mail names server, object and state, and the text of an event forges no header', async () => {
  const sendmail = join(folder, 'sendmail');
  writeFileSync(sendmail, `#!/bin/sh\necho "$@" > ${folder}/words\ncat > ${folder}/mail\n`);
  chmodSync(sendmail, 0o755);
  expect(await runExample('trigger-mail', { RSIO_SENDMAIL: sendmail })).toMatchObject({ code: 0, stderr: '' });
  const [head = '', ...body] = readFileSync(join(folder, 'mail'), 'utf8').split('\n\n');
  expect(head.split('\n')).toEqual(['To: root', 'Subject: RSIO big-9: pool fast: unavailable', 'Content-Type: text/plain; charset=utf-8']);
  expect(body[0]).toBe('pool fast: ready -> unavailable\nIt says \\"no\\"\\nSubject: forged');
  expect(JSON.parse(body[1] ?? '')).toEqual(EVENT);
  expect(readFileSync(join(folder, 'words'), 'utf8')).toBe('-t -i\n');
});

it('the webhook sends the event, and a server that refuses it is a failure', async (context) => {
  needTool(context, 'curl', 'curl');
  const received: string[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
    request.on('end', () => {
      received.push(`${request.method} ${request.url} ${request.headers['content-type']} ${text}`);
      response.statusCode = request.url === '/no' ? 500 : 204;
      response.end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    expect(await runExample('trigger-webhook', { RSIO_WEBHOOK_URL: `${url}/rsio` })).toMatchObject({ code: 0 });
    expect(received).toEqual([`POST /rsio application/json ${INPUT}`]);
    expect((await runExample('trigger-webhook', { RSIO_WEBHOOK_URL: `${url}/no` })).code).not.toBe(0);
  } finally {
    server.close();
  }
});
