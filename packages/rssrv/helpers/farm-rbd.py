# Executes the calls of a farm to Ceph, with librados and librbd: the record of a pool, the fence, facts about the image. rssrv writes one
# request in JSON on each line, and gets one answer in JSON for each. Arguments: user, configuration file, pool, image, time limit in
# seconds, maximum number of notes, maximum lengths of a record and of a note. Invariant: each change of the record is one operation of one
# object, which the storage executes completely or not at all.

import errno
import json
import sys

import rados
import rbd

user, conf, pool, image, limit, notes_max, record_max, note_max = sys.argv[1:]
NAME = 'rsio.pool.' + image
# Tells that the stored values cannot be what an engine has stored.
DAMAGED = errno.EBADMSG
MIB = 1 << 20


class Problem(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.errno = code


def connected():
    cluster = rados.Rados(rados_id=user, conffile=conf)
    cluster.conf_parse_env('CEPH_ARGS')
    # A lost request fails here, before rssrv loses its patience and kills this process.
    for option in ('rados_osd_op_timeout', 'rados_mon_op_timeout', 'client_mount_timeout'):
        cluster.conf_set(option, limit)
    cluster.connect()
    return cluster, cluster.open_ioctx(pool)


def text_of(value, bytes_max):
    if value is None:
        return None
    if len(value) > int(bytes_max):
        raise Problem(DAMAGED, 'a value of %d bytes, more than %s' % (len(value), bytes_max))
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise Problem(DAMAGED, str(error))


# Notes that the image is for a pool. Returns false if it is not, and has content. A pool that is made half has content, too.
def prepare(_):
    with rados.ReadOpCtx() as op:
        found, _ = pool_io.get_omap_vals_by_keys(op, ('prepared', 'version'))
        try:
            pool_io.operate_read_op(op, NAME)
            if dict(found):
                return True
        except rados.ObjectNotFound:
            pass
    with rbd.Image(pool_io, image, read_only=True) as disk:
        size = disk.size()
        for at in {0, max(0, size - MIB)}:
            if disk.read(at, min(MIB, size - at)).strip(b'\0'):
                return False
    with rados.WriteOpCtx() as op:
        pool_io.set_omap(op, ('prepared',), (b'1',))
        pool_io.operate_write_op(op, NAME)
    return True


def look(_):
    with rados.ReadOpCtx() as op:
        fields, _ = pool_io.get_omap_vals_by_keys(op, ('record', 'version'))
        notes, _ = pool_io.get_omap_vals(op, '', 'note.', int(notes_max))
        try:
            pool_io.operate_read_op(op, NAME)
        except rados.ObjectNotFound:
            return {'record': None, 'version': None, 'notes': {}}
        stored = dict(fields)
        return {
            'record': text_of(stored.get('record'), record_max),
            'version': text_of(stored.get('version'), note_max),
            'notes': {key[len('note.'):]: text_of(value, note_max) for key, value in notes},
        }


# The OSD executes the comparison and the change as one transaction of one object, and answers when all replicas have stored it. A request
# that is executed after its time limit here changes nothing, unless the record still has the version that the caller has seen.
def swap(order):
    def change(op):
        pool_io.set_omap(op, ('record', 'version'), (order['record'].encode(), order['version'].encode()))
        if order['forget']:
            pool_io.remove_omap_keys(op, tuple('note.' + name for name in order['forget']))
        pool_io.operate_write_op(op, NAME)

    try:
        if order['seen'] is None:
            try:
                with rados.WriteOpCtx() as op:
                    op.new(rados.LIBRADOS_CREATE_EXCLUSIVE)
                    change(op)
                return True
            except rados.ObjectExists:
                # The object may have notes only. A missing version compares as an empty one.
                pass
        with rados.WriteOpCtx() as op:
            op.omap_cmp('version', order['seen'] or '', rados.LIBRADOS_CMPXATTR_OP_EQ)
            change(op)
        return True
    except rados.ObjectNotFound:
        return False
    except rados.OSError as error:
        if error.errno == errno.ECANCELED:
            return False
        raise


def post(order):
    with rados.WriteOpCtx() as op:
        pool_io.set_omap(op, ('note.' + order['server'],), (order['note'].encode(),))
        pool_io.operate_write_op(op, NAME)


def monitor(**command):
    code, out, said = cluster.mon_command(json.dumps(command), b'')
    if code != 0:
        raise Problem(-code, said or errno.errorcode.get(-code, str(code)))
    return out.decode()


def fence(order):
    return monitor(prefix='osd blocklist', blocklistop='add', addr=order['client'], expire=float(order['seconds']))


def map_epoch():
    return json.loads(monitor(prefix='osd stat', format='json'))['epoch']


# Returns until when a client is fenced, and a version of the map of the cluster with this fence. The answer of `fence` does not tell it: Ceph
# leaves an entry that exists as it is, and still says that it has changed it.
def fenced(order):
    entries, _ = json.JSONDecoder().raw_decode(monitor(prefix='osd blocklist ls', format='json'))
    until = next((entry['until'] for entry in entries if entry['addr'] == order['client']), None)
    return {'until': until, 'epoch': map_epoch()}


# Returns facts about the image. This client reads the header of the image with the latest map of the cluster, so that the OSD of the header
# has this map afterwards, and passes it on to clients that ask this OSD.
def facts(_):
    epoch = map_epoch()
    cluster.wait_for_latest_osdmap()
    with rbd.Image(pool_io, image, read_only=True) as found:
        return {
            'epoch': epoch,
            'bytes': found.size(),
            'features': found.features(),
            'watchers': [one['addr'] for one in found.watchers_list()],
            # Settings of the pool or the image override those of the client.
            'settings': {one['name']: one['value'] for one in found.config_list() if one['source'] != 0},
        }


CALLS = {'prepare': prepare, 'look': look, 'swap': swap, 'post': post, 'fence': fence, 'fenced': fenced, 'facts': facts}
cluster = None
for line in sys.stdin:
    request = json.loads(line)
    answer = {'id': request['id']}
    try:
        if cluster is None:
            cluster, pool_io = connected()
        answer['value'] = CALLS[request['call']](request)
    except (rados.Error, rbd.Error, Problem, ValueError, KeyError) as error:
        code = getattr(error, 'errno', None)
        answer['error'] = {'code': errno.errorcode.get(code, str(code)), 'text': str(error)}
    print(json.dumps(answer), flush=True)
