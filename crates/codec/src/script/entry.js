// How a codec is called, whatever it is called: The Things Stack and ChirpStack v4, ChirpStack v3, The Things Network v2.
(function () {
  const found = (name) => {
    try {
      const own = (0, eval)(name);
      if (typeof own === 'function') return own;
    } catch (e) {}
    const exported = module.exports && module.exports[name];
    return typeof exported === 'function' ? exported : undefined;
  };
  const uplink = found('decodeUplink'), v3 = found('Decode'), v2 = found('Decoder') || found('decoder');
  if (!uplink && !v3 && !v2) return undefined;
  return (bytes, fPort, now) => {
    __now = now;
    __seed = 1;
    const input = { bytes, fPort, recvTime: new Date(now), variables: {}, normalizedPayload: undefined };
    const result = uplink ? uplink(input) : { data: v3 ? v3(fPort, bytes, {}) : v2(bytes, fPort) };
    return JSON.stringify(result);
  };
})();
