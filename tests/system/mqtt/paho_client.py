"""paho against the port that is given: connects, subscribes, publishes with each QoS, keeps a message and a session, has a will."""

import queue
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PORT = int(sys.argv[1])
PATIENCE = 20


class Client:
    def __init__(self, version, name, kept=False, will=None):
        self.version, self.kept = version, kept
        self.messages, self.events = queue.Queue(), queue.Queue()
        more = {} if version == mqtt.MQTTv5 else {"clean_session": not kept}
        self.own = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=version, **more)
        self.own.on_message = lambda _c, _u, m: self.messages.put((m.payload.decode(), m.qos, m.retain))
        self.own.on_connect = lambda _c, _u, flags, code, _p: self.events.put((code.value, flags.session_present))
        self.own.on_subscribe = lambda _c, _u, _m, codes, _p: self.events.put([code.value for code in codes])
        self.own.on_disconnect = lambda *_: self.events.put("gone")
        if will:
            self.own.will_set(*will)

    def join(self, present=False):
        more = {}
        if self.version == mqtt.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 600 if self.kept else 0
            more = {"clean_start": not self.kept, "properties": properties}
        self.own.connect("127.0.0.1", PORT, **more)
        self.own.loop_start()
        self.expect(self.events, (0, present))
        return self

    def subscribe(self, topic, qos):
        self.own.subscribe(topic, qos)
        self.expect(self.events, [qos])

    def publish(self, topic, payload, qos, retain=False):
        info = self.own.publish(topic, payload, qos, retain)
        info.wait_for_publish(PATIENCE)
        assert info.is_published()

    def got(self, *message):
        self.expect(self.messages, message)

    def leave(self):
        self.own.disconnect()
        self.expect(self.events, "gone")
        self.own.loop_stop()

    def expect(self, source, wanted):
        found = source.get(timeout=PATIENCE)
        assert found == wanted, (found, wanted)


for version, name in ((mqtt.MQTTv31, "3.1"), (mqtt.MQTTv311, "3.1.1"), (mqtt.MQTTv5, "5.0")):
    at = name + "/"
    hears = Client(version, "kept-" + name, kept=True).join()
    hears.subscribe(at + "#", 2)
    says = Client(version, "says-" + name).join()
    for qos in range(3):
        says.publish(at + "x", "here", qos)
        hears.got("here", qos, False)
    hears.leave()
    for qos in range(3):
        says.publish(at + "x", "away", qos)
    says.publish(at + "kept", "kept", 1, retain=True)
    # MQTT 3.1 has no word for a session that is there.
    hears.join(present=True)
    # It shows a QoS 2 message when it is released.
    found = sorted(hears.messages.get(timeout=PATIENCE) for _ in range(3))
    assert found == [("away", 1, False), ("away", 2, False), ("kept", 1, False)], found
    late = Client(version, "late-" + name).join()
    late.subscribe(at + "kept", 1)
    late.got("kept", 1, True)
    dies = Client(version, "dies-" + name, will=(at + "will", "will", 1, False)).join()
    dies.own.loop_stop()
    dies.own.socket().close()
    hears.got("will", 1, False)
    for client in (hears, says, late):
        client.leave()
    print(name + ": all")
