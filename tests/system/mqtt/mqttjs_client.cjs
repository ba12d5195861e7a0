// MQTT.js over WebSocket to the port that is given: connects, subscribes, publishes with each QoS, keeps a message and a session,
// has a will.

const assert = require('node:assert')
const mqtt = require(process.env.NODE_PATH + '/mqtt')

const url = `ws://127.0.0.1:${process.argv[2]}/mqtt`

/** A client whose messages can be waited for. */
async function join(protocolVersion, clientId, more = {}) {
  const kept = more.kept === true
  const options = {
    protocolVersion, clientId, clean: !kept, reconnectPeriod: 0, resubscribe: false, will: more.will,
    protocolId: 'MQTT', properties: protocolVersion === 5 ? { sessionExpiryInterval: kept ? 600 : 0 } : undefined,
  }
  const client = mqtt.connect(url, options)
  const messages = []
  let wake = () => {}
  client.on('message', (topic, payload, packet) => {
    messages.push([payload.toString(), packet.qos, packet.retain])
    wake()
  })
  client.next = async () => {
    while (messages.length === 0) await new Promise((resolve) => { wake = resolve })
    return messages.shift()
  }
  client.got = async (...wanted) => assert.deepStrictEqual(await client.next(), wanted)
  const connack = await new Promise((resolve, reject) => {
    client.on('connect', resolve)
    client.on('error', reject)
  })
  assert.strictEqual(connack.sessionPresent, more.present === true)
  return client
}

async function all(version, name) {
  const at = (topic) => `${name}/${topic}`
  const hears = await join(version, `kept-${name}`, { kept: true })
  const granted = await hears.subscribeAsync(at('#'), { qos: 2 })
  assert.strictEqual(granted[0].qos, 2)
  const says = await join(version, `says-${name}`)
  for (const qos of [0, 1, 2]) {
    await says.publishAsync(at('x'), 'here', { qos })
    await hears.got('here', qos, false)
  }
  // More than one frame, each way.
  const large = 'x'.repeat(700_000)
  await says.publishAsync(at('x'), large, { qos: 1 })
  await hears.got(large, 1, false)
  await hears.endAsync()
  for (const qos of [0, 1, 2]) await says.publishAsync(at('x'), 'away', { qos })
  await says.publishAsync(at('kept'), 'kept', { qos: 1, retain: true })
  const back = await join(version, `kept-${name}`, { kept: true, present: true })
  // It shows a QoS 2 message when it is released.
  const found = [await back.next(), await back.next(), await back.next()].map(String).sort()
  assert.deepStrictEqual(found, ['away,1,false', 'away,2,false', 'kept,1,false'])
  const late = await join(version, `late-${name}`)
  await late.subscribeAsync(at('kept'), { qos: 1 })
  await late.got('kept', 1, true)
  const will = { topic: at('will'), payload: Buffer.from('will'), qos: 1, retain: false }
  const dies = await join(version, `dies-${name}`, { will })
  dies.stream.destroy()
  await back.got('will', 1, false)
  for (const client of [back, says, late]) await client.endAsync()
  console.log(`${name}: all`)
}

const patience = setTimeout(() => {
  console.error('waited too long')
  process.exit(1)
}, 40_000)
all(4, '3.1.1').then(() => all(5, '5.0')).then(() => clearTimeout(patience), (error) => {
  console.error(error)
  process.exit(1)
})
