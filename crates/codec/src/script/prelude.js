// What a codec finds around itself. No clock but the message's, no chance, no input and output.
var __now = 0, __seed = 1;
var module = { exports: {} }, exports = module.exports;
var console = { log() {}, warn() {}, error() {}, info() {}, debug() {} };
(function () {
  const Real = Date;
  function Fixed(...parts) {
    if (!new.target) return new Real(__now).toString();
    return Reflect.construct(Real, parts.length ? parts : [__now], new.target);
  }
  Fixed.prototype = Real.prototype;
  Fixed.now = () => __now;
  Fixed.parse = Real.parse;
  Fixed.UTC = Real.UTC;
  // The machine's time zone is nobody's business: what a codec writes must not depend on where it runs.
  for (const part of ['FullYear', 'Month', 'Date', 'Day', 'Hours', 'Minutes', 'Seconds', 'Milliseconds']) {
    Real.prototype['get' + part] = Real.prototype['getUTC' + part];
    if (part !== 'Day') Real.prototype['set' + part] = Real.prototype['setUTC' + part];
  }
  Real.prototype.getTimezoneOffset = () => 0;
  Real.prototype.constructor = Fixed;
  globalThis.Date = Fixed;
  Math.random = () => {
    __seed = (__seed * 1103515245 + 12345) % 2147483648;
    return __seed / 2147483648;
  };
})();
