// Texts of the server's file for tests: its shortest form, with additions of a test. The manual's sample belongs to the reader's own test, and
// files for real daemons to test/support.

interface SmallOptions {
  /** Further lines of [namespace]. */
  readonly namespace?: string;
  /** Further lines of [server]. */
  readonly server?: string;
  readonly addresses?: readonly string[];
  /** Further sections. */
  readonly more?: string;
}

/** The shortest file that a server starts with: no volumes, no clients. */
export function smallRssrvcfg({ namespace = '', server = '', addresses = ['192.168.45.10'], more = '' }: SmallOptions = {}): string {
  const interfaces = addresses.map((address, index) => `[interface if${index + 1}]\naddress = ${address}\n`).join('');
  return `[namespace osl]\nnamespaceid = 200\n${namespace}[server big-9]\nserverid = 1\n${server}${interfaces}${more}`;
}
