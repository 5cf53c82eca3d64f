// Texts of the server's configuration file for tests: the shortest valid file, and what a test adds to it. The manual's sample is in
// rssrvcfg.test.ts, and files for real daemons are in test/support.

interface SmallOptions {
  /** Further lines of [namespace]. */
  readonly namespace?: string;
  /** Further lines of [server]. */
  readonly server?: string;
  readonly addresses?: readonly string[];
  /** Further sections. */
  readonly more?: string;
}

/** The shortest file with which a server starts. It has no volumes and no clients. */
export function smallRssrvcfg({ namespace = '', server = '', addresses = ['192.168.45.10'], more = '' }: SmallOptions = {}): string {
  const interfaces = addresses.map((address, index) => `[interface if${index + 1}]\naddress = ${address}\n`).join('');
  return `[namespace osl]\nnamespaceid = 200\n${namespace}[server big-9]\nserverid = 1\n${server}${interfaces}${more}`;
}
