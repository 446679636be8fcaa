// Alto has no option for the address that it listens on and takes all of them: in tests it listens on loopback alone.
const net = require("node:net");

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function listenOnLoopback(options, ...rest) {
  const isPort = options !== null && typeof options === "object" && "port" in options;
  return listen.call(this, isPort ? { ...options, host: "127.0.0.1" } : options, ...rest);
};
