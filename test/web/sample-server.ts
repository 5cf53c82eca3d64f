// A small HTTP server that shows the pages of rsweb over the sample picture, with the headers and assets of rsweb. Tests and screenshots of
// pages use this server. The server has no sources, no logins and no orders. Invariant: the server listens on a loopback address and a free
// port.

import { createServer, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Answer, SECURITY_HEADERS } from '@rsio/rsweb/http/answer';
import { Assets } from '@rsio/rsweb/http/assets';
import type { Html } from '@rsio/rsweb/markup/html';
import type { View } from '@rsio/rsweb/markup/view';
import type { HistoryName } from '@rsio/rsweb/model/history';
import type { Picture } from '@rsio/rsweb/model/picture';
import { isPlace, OPERATIONS } from '@rsio/rsweb/api/operations';
import { filledIn } from '@rsio/rsweb/orders/operation-desk';
import { resultView } from '@rsio/api/views/result-view';
import { operationPage, operationsPage } from '@rsio/rsweb/pages/operations';
import { clientPage } from '@rsio/rsweb/pages/client';
import { confirmPage } from '@rsio/rsweb/pages/confirm';
import { errorPage } from '@rsio/rsweb/pages/error';
import { eventsPage } from '@rsio/rsweb/pages/events';
import { impactPage } from '@rsio/rsweb/pages/impact';
import { loginPage } from '@rsio/rsweb/pages/login';
import { mirrorPage } from '@rsio/rsweb/pages/mirror';
import { overviewPage } from '@rsio/rsweb/pages/overview';
import { poolPage } from '@rsio/rsweb/pages/pool';
import { serverPage } from '@rsio/rsweb/pages/server';
import { volumePage } from '@rsio/rsweb/pages/volume';
import { sampleTold } from '@rsio/rsweb/testing/sample-facts';
import { sampleHistory } from '@rsio/rsweb/testing/sample-history';
import { samplePicture } from '@rsio/rsweb/testing/sample-picture';

type ObjectPage = (picture: Picture, view: View, id: string) => Html | null;

const OBJECT_PAGES: Readonly<Record<string, ObjectPage>> = {
  volume: volumePage,
  client: clientPage,
  server: serverPage,
  pool: poolPage,
  mirror: mirrorPage,
};

export interface SampleServer {
  readonly url: string;
  /** Shows another picture, and notifies the open pages. */
  show(picture: Picture): void;
  close(): Promise<void>;
}

export async function startSampleServer(first: Picture = samplePicture()): Promise<SampleServer> {
  const assets = new Assets();
  const open = new Set<ServerResponse>();
  let picture = first;
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://sample');
    const [, kind = '', name = ''] = url.pathname.split('/');
    const send = (status: number, type: string, body: string | Uint8Array, headers: Answer['headers'] = {}): void => {
      response.writeHead(status, { ...SECURITY_HEADERS, ...headers, 'Content-Type': type } as OutgoingHttpHeaders).end(body);
    };
    if (kind === 'assets') {
      const { status, type, body, headers } = assets.answer(name, request.headers['if-none-match'] ?? '');
      send(status, type, body, headers);
    } else if (url.pathname === '/live') {
      response.writeHead(200, { ...SECURITY_HEADERS, 'Content-Type': 'text/event-stream' });
      response.write('event: picture\ndata: {}\n\n');
      open.add(response);
      response.on('close', () => open.delete(response));
    } else if (url.pathname === '/history.json') {
      const of = (url.searchParams.get('of') ?? 'all') as HistoryName;
      send(200, 'application/json', JSON.stringify({ of, rings: sampleHistory().ringsOf(of) }));
    } else {
      const page = pageOf(picture, url, kind, decodeURIComponent(name));
      send(page === null ? 404 : 200, 'text/html; charset=utf-8', String(page ?? NO_PAGE));
    }
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    show: (next) => {
      const hasNews = JSON.stringify(next.findings) !== JSON.stringify(picture.findings);
      picture = next;
      for (const response of open) response.write(`event: ${hasNews ? 'findings' : 'changes'}\ndata: {}\n\n`);
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((closed) => server.close(() => closed()));
    },
  };
}

const NO_PAGE = errorPage({
  status: 404,
  title: 'There is no such page',
  what: 'The object may have been removed or renamed',
  remedy: 'Look for it on the overview.',
});

function pageOf(picture: Picture, url: URL, kind: string, id: string): Html | null {
  const view: View = {
    nowMs: picture.takenMs,
    path: url.pathname,
    token: 'anna',
    mayManage: true,
    mayOrder: () => true,
    mayCall: () => true,
    csrf: 'csrf-of-tests',
    notice: url.searchParams.get('notice'),
    history: sampleHistory(),
    query: url.searchParams,
  };
  if (kind === '') return overviewPage(picture, view);
  if (kind === 'events') return eventsPage(picture, view);
  if (kind === 'impact') return impactPage(picture, view, sampleTold());
  if (kind === 'operations') return operationsPageAt(picture, view, id);
  if (kind === 'login') return loginPage({ csrf: null, next: '/', trouble: null, host: 'atlas' });
  if (kind === 'confirm') return confirmPage(REMOVAL, picture, view);
  return Object.hasOwn(OBJECT_PAGES, kind) ? (OBJECT_PAGES[kind]?.(picture, view, id) ?? null) : null;
}

/** `place`: of the path; empty for the list of all operations. */
function operationsPageAt(picture: Picture, view: View, place: string): Html | null {
  if (place === '') return operationsPage(picture, view);
  const method = view.path.split('/')[3] ?? '';
  const operation = isPlace(place) ? OPERATIONS[place].get(method) : undefined;
  return operation === undefined ? null : operationPage(filledIn(operation, view.query), ANSWER, picture, view);
}

const ANSWER = {
  parts: resultView({ writtenMs: 1_764_500_000_000, volumes: [{ name: 'web-03', sizeBytes: 1_073_741_824, snapshots: ['monday'] }] }),
  trouble: null,
  parameter: 'name',
};

const REMOVAL = {
  title: 'Remove volume web-03@0',
  what: 'Volume web-03@0 of server themis is removed, with its 24 snapshots.',
  consequence: 'It can be restored for a day: rsadm volume restore web-03',
  object: 'volume web-03@0',
  fields: { volume: 'x' },
  action: '/orders/volume-remove',
  href: '/',
};
