# A foreign client of CSI: makes its codecs from csi.proto with the tools of gRPC for Python, and lives one life of a volume at the socket of
# a controller. Prints one line for each call, such as `CreateVolume ok`. Usage: csi-life.py FOLDER-OF-PROTO FOLDER-FOR-CODE SOCKET NODE
import os
import sys

import grpc
from grpc_tools import protoc

protos, code, socket, node = sys.argv[1:]
includes = os.path.join(os.path.dirname(protoc.__file__), '_proto')
status = protoc.main(['', f'-I{protos}', f'-I{includes}', f'--python_out={code}', f'--grpc_python_out={code}', f'{protos}/csi.proto'])
if status != 0:
    sys.exit(status)
sys.path.insert(0, code)
import csi_pb2 as csi  # noqa: E402
import csi_pb2_grpc as services  # noqa: E402

LIMIT_S = 60
channel = grpc.insecure_channel(f'unix:{socket}')
identity, controller = services.IdentityStub(channel), services.ControllerStub(channel)


def call(stub, name, request):
    answer = getattr(stub, name)(request, timeout=LIMIT_S)
    print(name, 'ok', flush=True)
    return answer


def refused(stub, name, request):
    try:
        getattr(stub, name)(request, timeout=LIMIT_S)
        print(name, 'ok', flush=True)
    except grpc.RpcError as error:
        print(name, error.code().name, flush=True)


mode = csi.VolumeCapability.AccessMode(mode=csi.VolumeCapability.AccessMode.SINGLE_NODE_WRITER)
block = csi.VolumeCapability(block=csi.VolumeCapability.BlockVolume(), access_mode=mode)
assert call(identity, 'Probe', csi.ProbeRequest()).ready.value
assert call(identity, 'GetPluginInfo', csi.GetPluginInfoRequest()).name == 'rsio.csi'
wanted = csi.CreateVolumeRequest(name='foreign', volume_capabilities=[block], capacity_range=csi.CapacityRange(required_bytes=1 << 24))
volume = call(controller, 'CreateVolume', wanted).volume
assert volume.capacity_bytes == 1 << 24
published = csi.ControllerPublishVolumeRequest(volume_id=volume.volume_id, node_id=node, volume_capability=block)
assert call(controller, 'ControllerPublishVolume', published).publish_context['readonly'] == 'no'
listed = call(controller, 'ListVolumes', csi.ListVolumesRequest()).entries
assert [list(one.status.published_node_ids) for one in listed] == [[node]]
refused(controller, 'DeleteVolume', csi.DeleteVolumeRequest(volume_id=volume.volume_id))
grown = csi.ControllerExpandVolumeRequest(volume_id=volume.volume_id, capacity_range=csi.CapacityRange(required_bytes=1 << 25))
assert call(controller, 'ControllerExpandVolume', grown).capacity_bytes == 1 << 25
call(controller, 'ControllerUnpublishVolume', csi.ControllerUnpublishVolumeRequest(volume_id=volume.volume_id, node_id=node))
call(controller, 'DeleteVolume', csi.DeleteVolumeRequest(volume_id=volume.volume_id))
refused(controller, 'CreateVolume', csi.CreateVolumeRequest(name=''))
