# A foreign client of CSI: makes its codecs from csi.proto with the tools of gRPC for Python, and lives one life of a volume at the socket of
# a controller. Prints one line for each call, such as `CreateVolume ok`. Usage: csi-life.py FOLDER-OF-PROTO FOLDER-FOR-CODE SOCKET NODE
# With SOCKET-OF-NODE KUBELET, the volume is also mounted: when it is published, the client waits for a line on its input, and goes on.
import os
import sys

import grpc
from grpc_tools import protoc

protos, code, socket, node, *mounted = sys.argv[1:]
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
    answer = getattr(stub, name)(request, timeout=LIMIT_S, wait_for_ready=True)
    print(name, 'ok', flush=True)
    return answer


def refused(stub, name, request):
    try:
        getattr(stub, name)(request, timeout=LIMIT_S, wait_for_ready=True)
        print(name, 'ok', flush=True)
    except grpc.RpcError as error:
        print(name, error.code().name, flush=True)


def life_at_controller():
    block = csi.VolumeCapability(block=csi.VolumeCapability.BlockVolume(), access_mode=mode)
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


def life_of_mounted(node_socket, kubelet):
    nodes = services.NodeStub(grpc.insecure_channel(f'unix:{node_socket}'))
    capability = csi.VolumeCapability(mount=csi.VolumeCapability.MountVolume(fs_type='xfs'), access_mode=mode)
    size, grown = 320 << 20, csi.CapacityRange(required_bytes=400 << 20)
    wanted = csi.CreateVolumeRequest(name='foreign', volume_capabilities=[capability], capacity_range=csi.CapacityRange(required_bytes=size))
    volume_id = call(controller, 'CreateVolume', wanted).volume.volume_id
    published = csi.ControllerPublishVolumeRequest(volume_id=volume_id, node_id=node, volume_capability=capability)
    context = call(controller, 'ControllerPublishVolume', published).publish_context
    assert call(nodes, 'NodeGetInfo', csi.NodeGetInfoRequest()).node_id == node
    place = {'volume_id': volume_id, 'staging_target_path': f'{kubelet}/staging/foreign', 'volume_capability': capability}
    target = f'{kubelet}/pods/one/mount'
    stage = csi.NodeStageVolumeRequest(publish_context=context, **place)
    publish = csi.NodePublishVolumeRequest(publish_context=context, target_path=target, **place)
    call(nodes, 'NodeStageVolume', stage)
    call(nodes, 'NodePublishVolume', publish)
    sys.stdin.readline()
    # The kubelet repeats calls that a replaced driver may not have completed.
    call(nodes, 'NodeStageVolume', stage)
    call(nodes, 'NodePublishVolume', publish)
    call(controller, 'ControllerExpandVolume', csi.ControllerExpandVolumeRequest(volume_id=volume_id, capacity_range=grown))
    call(nodes, 'NodeExpandVolume', csi.NodeExpandVolumeRequest(volume_path=target, capacity_range=grown, **place))
    stats = call(nodes, 'NodeGetVolumeStats', csi.NodeGetVolumeStatsRequest(volume_id=volume_id, volume_path=target))
    assert stats.usage[0].total > size and not stats.volume_condition.abnormal
    snapshot = call(controller, 'CreateSnapshot', csi.CreateSnapshotRequest(source_volume_id=volume_id, name='foreign-snapshot')).snapshot
    call(nodes, 'NodeUnpublishVolume', csi.NodeUnpublishVolumeRequest(volume_id=volume_id, target_path=target))
    unstage = csi.NodeUnstageVolumeRequest(volume_id=volume_id, staging_target_path=place['staging_target_path'])
    call(nodes, 'NodeUnstageVolume', unstage)
    call(controller, 'ControllerUnpublishVolume', csi.ControllerUnpublishVolumeRequest(volume_id=volume_id, node_id=node))
    refused(controller, 'DeleteVolume', csi.DeleteVolumeRequest(volume_id=volume_id))
    call(controller, 'DeleteSnapshot', csi.DeleteSnapshotRequest(snapshot_id=snapshot.snapshot_id))
    call(controller, 'DeleteVolume', csi.DeleteVolumeRequest(volume_id=volume_id))
    assert len(call(controller, 'ListVolumes', csi.ListVolumesRequest()).entries) == 0


mode = csi.VolumeCapability.AccessMode(mode=csi.VolumeCapability.AccessMode.SINGLE_NODE_WRITER)
assert call(identity, 'Probe', csi.ProbeRequest()).ready.value
assert call(identity, 'GetPluginInfo', csi.GetPluginInfoRequest()).name == 'rsio.csi'
if mounted:
    life_of_mounted(*mounted)
else:
    life_at_controller()
