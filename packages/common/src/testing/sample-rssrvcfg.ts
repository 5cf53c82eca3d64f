// Provides server configuration files for tests: the shortest valid file, with additions that the test chooses. The sample file of the
// manual is in rssrvcfg.test.ts, and files for real daemons are in test/support.

interface SmallOptions {
  /** Further lines for [namespace]. */
  readonly namespace?: string;
  /** Further lines for [server]. */
  readonly server?: string;
  readonly addresses?: readonly string[];
  /** Further sections. */
  readonly more?: string;
}

/** Returns the shortest configuration file with which a server starts. By default, the file defines no volumes and no clients. */
export function smallRssrvcfg({ namespace = '', server = '', addresses = ['192.168.45.10'], more = '' }: SmallOptions = {}): string {
  const interfaces = addresses.map((address, index) => `[interface if${index + 1}]\naddress = ${address}\n`).join('');
  return `[namespace osl]\nnamespaceid = 200\n${namespace}[server big-9]\nserverid = 1\n${server}${interfaces}${more}`;
}

/** Beginning of the rssrvcfg of this server. */
export const SERVER_FILE_HEAD = `# Server of the test
[namespace osl]
namespaceid = 200

[server big-9]
serverid = 1

[interface if1]
address = 10.0.0.9

`;
