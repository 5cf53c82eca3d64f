// The journey of the tutorial by the pages of rsweb alone, in a real browser, before two servers, a witness and a client: a volume, its
// content, snapshot, roll back, clone, removal and return, a copy as a job, a mirror that loses a server, and what the audit says of all
// that. Invariant: each order is a click on a page; what it has done is read from the daemons, and the content through NBD.

import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { loopbackMirrorPlaces, MirrorSite } from '../support/scenes/mirror-site.ts';
import { CHROMIUM, startBrowser } from './browser.ts';
import { logIn, startWeb } from './real-web.ts';

const TEST_MS = 300_000;
const WAIT_MS = 30_000;
const MIB = 1_048_576;

const hosts = useHosts();
let browser: Browser | null = null;

beforeAll(async () => {
  if (CHROMIUM !== null) browser = await startBrowser();
});

beforeEach((context) => {
  context.skip(CHROMIUM === null, 'needs chromium: install chromium');
});

afterAll(() => browser?.close());

type Place = 'client' | 'servers';

/** A visitor who goes everywhere by links and forms. */
class Visitor {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  /** Opens the form of an operation from the list of all, and fills it in. */
  private async form(place: Place, method: string, values: Readonly<Record<string, string>>): Promise<void> {
    const { page } = this;
    await page.getByRole('link', { name: 'All operations' }).first().click();
    await page.getByLabel('Name or meaning').fill(method);
    await page.getByRole('button', { name: 'Filter' }).click();
    await page.locator(`#of-${place}`).getByRole('link', { name: method, exact: true }).click();
    await page.getByRole('heading', { level: 1, name: method }).waitFor();
    for (const [name, value] of Object.entries(values)) {
      const field = page.locator(name === 'server' && place === 'servers' ? '#server' : `#field-${name}`);
      const isChoice = (await field.evaluate((element) => element.tagName)) === 'SELECT';
      await (isChoice ? field.selectOption(value) : field.fill(value));
    }
  }

  /** Gives an order, and confirms its question. Returns the answer as text. */
  async order(place: Place, method: string, values: Readonly<Record<string, string>>): Promise<string> {
    const { page } = this;
    await this.form(place, method, values);
    await page.getByRole('button', { name: 'Go on \u2026' }).click();
    await page.getByRole('heading', { level: 1, name: `Do ${method}?` }).waitFor();
    await page.getByRole('button', { name: `Do ${method}` }).click();
    const outcome = page.locator('.notice, .reason.bad');
    await outcome.waitFor();
    expect(await outcome.innerText()).toContain('Done: ');
    return page.locator('#answer').innerText();
  }

  /** Returns the answer of an operation that changes nothing. */
  async read(place: Place, method: string, values: Readonly<Record<string, string>>): Promise<string> {
    await this.form(place, method, values);
    await this.page.getByRole('button', { name: 'Show', exact: true }).click();
    return this.page.locator('#answer').innerText();
  }
}

async function withContent<T>(client: Host, name: string, work: (nbd: NbdIo) => Promise<T>): Promise<T> {
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, name);
  try {
    return await work(nbd);
  } finally {
    nbd.close();
  }
}

const filled = (value: number): Buffer => Buffer.alloc(MIB, value);

it('the journey of the tutorial by the pages alone', { timeout: TEST_MS }, async (context) => {
  const places = await loopbackMirrorPlaces(hosts);
  const parent = path.join(reflinkDisk(hosts, places.servers[0]!, context), 'pools');
  mkdirSync(parent);
  const site = await MirrorSite.start(places, { poolParent: parent }, (action) => hosts.onClean(action));
  const { client } = site;
  const web = await startWeb(client);
  const page = await browser!.newPage();
  page.setDefaultTimeout(WAIT_MS);
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(web.url);
  await logIn(page, web.token);
  const visitor = new Visitor(page);
  const server = 'pi-1';
  const write = (name: string, value: number): Promise<void> =>
    withContent(client, name, async (nbd) => {
      await nbd.write(0, filled(value));
      await nbd.flush();
    });
  const first = async (name: string): Promise<number | undefined> =>
    withContent(client, name, async (nbd) => (await nbd.read(0, MIB)).at(MIB - 1));
  const volumes = async (): Promise<unknown> => {
    const { volumes: all } = (await client
      .call('server-call', {
        ...{ server, namespace: null, method: 'volume-list', params: {}, waitMs: null },
      })
      .then(({ result }) => result)) as { readonly volumes: readonly { readonly name: string; readonly sizeBytes: number }[] };
    return Object.fromEntries(all.map(({ name, sizeBytes }) => [name, sizeBytes / MIB]));
  };

  // A volume: made, attached, written to, grown.
  await visitor.order('servers', 'volume-create', { server, name: 'oracle', sizeBytes: '16m' });
  await visitor.order('client', 'attach', { names: 'oracle' });
  await write('osl/oracle', 1);
  await visitor.order('servers', 'volume-grow', { server, name: 'oracle', sizeBytes: '24m' });
  expect(await volumes()).toEqual({ oracle: 24 });

  // A snapshot, other content, and back.
  expect(await visitor.order('servers', 'volume-snapshot', { server, snapshots: 'oracle@0@monday' })).toContain('monday');
  await write('osl/oracle', 2);
  await visitor.order('client', 'detach', { names: 'oracle' });
  await visitor.order('servers', 'volume-rollback', { server, name: 'oracle', snapshot: 'monday' });
  await visitor.order('client', 'attach', { names: 'oracle' });
  expect(await first('osl/oracle')).toBe(1);
  expect(await visitor.read('servers', 'volume-show', { server, name: 'oracle' })).toContain('monday');
  await visitor.order('client', 'detach', { names: 'oracle' });

  // Changes of volumes: a clone, another name, limits, removed and restored, a copy as a job.
  await visitor.order('servers', 'volume-clone', { server, name: 'oracle', snapshot: 'monday', newName: 'tvol9' });
  await visitor.order('servers', 'volume-rename', { server, name: 'tvol9', newName: 'scratch' });
  await visitor.order('servers', 'volume-annotate', { server, name: 'scratch', note: 'for tests' });
  await visitor.order('servers', 'volume-remove', { server, name: 'scratch' });
  expect(await volumes()).toEqual({ oracle: 24 });
  await visitor.order('servers', 'volume-restore', { server, name: 'scratch' });
  await visitor.order('servers', 'volume-copy', { server, name: 'scratch', newName: 'copied', pool: 'fast' });
  await waitFor(async () => 'copied' in ((await volumes()) as object), WAIT_MS, 'the copy is there');
  expect(await visitor.read('servers', 'job-list', { server })).toContain('scratch');

  // A mirror goes on without one of its servers, and is in sync again.
  await visitor.order('client', 'mirror-create', { name: 'db', sizeBytes: '16m', servers: 'pi-1 pi-2', witness: 'pi-3' });
  await visitor.order('client', 'attach', { names: 'db' });
  await site.untilInSync();
  site.kill(1);
  await write('osl/db', 3);
  await page.getByRole('link', { name: 'Overview' }).click();
  await page.locator('.finding', { hasText: /db@0/ }).first().waitFor();
  await site.startAgain(1);
  await site.untilInSync();
  site.kill(0);
  expect(await first('osl/db')).toBe(3);
  await site.startAgain(0);
  await site.untilInSync();
  expect(await visitor.read('client', 'mirrors', {})).toContain('pi-2');
  await visitor.order('client', 'mirror-snapshot', { name: 'db', snapshot: 'tuesday' });
  await visitor.order('client', 'detach', { names: 'db' });
  await visitor.order('client', 'mirror-remove', { name: 'db', volumes: 'true' });
  expect(await volumes()).toEqual({ oracle: 24, scratch: 24, copied: 24 });

  // What cannot be done says why, at its field, and what was done stands in the audit.
  await page.goto(`${web.url}/operations/servers/volume-create`);
  await page.locator('#server').fill(server);
  await page.locator('#field-name').fill('x');
  await page.locator('#field-sizeBytes').fill('much');
  await page.getByRole('button', { name: 'Go on \u2026' }).click();
  await page.getByRole('alert').getByText('Parameter sizeBytes of volume-create is wrong').waitFor();
  expect(await page.locator('#field-sizeBytes').getAttribute('aria-invalid')).toBe('true');
  expect(complaints.filter((text) => !text.includes('422'))).toEqual([]);
  await page.close();
});
