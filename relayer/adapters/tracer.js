{
  base: -1, isDirect: false, entity: "0", done: false, last: "", created: 0, seen: {}, steps: [],
  kinds: {
    SLOAD: "slot", SSTORE: "slot", TLOAD: "slot", TSTORE: "slot", KECCAK256: "hash", SHA3: "hash",
    CALL: "call", STATICCALL: "call", DELEGATECALL: "call", CALLCODE: "call", CREATE2: "create2",
    EXTCODESIZE: "code", EXTCODEHASH: "code", EXTCODECOPY: "code",
    GASPRICE: "op", GASLIMIT: "op", DIFFICULTY: "op", PREVRANDAO: "op", RANDOM: "op", TIMESTAMP: "op", BASEFEE: "op",
    BLOCKHASH: "op", NUMBER: "op", ORIGIN: "op", COINBASE: "op", SELFDESTRUCT: "op", SUICIDE: "op", CREATE: "op",
    BLOBHASH: "op", BLOBBASEFEE: "op", INVALID: "op", BALANCE: "op", SELFBALANCE: "op"
  },
  put: function (item) { var key = item.join(" "); if (!this.seen[key]) { this.seen[key] = 1; this.steps.push(item); } },
  word: function (log, n) { return log.stack.peek(n).toString(16); },
  step: function (log, db) {
    if (this.done) return;
    var op = log.op.toString(), kind = this.kinds[op];
    if (!this.isDirect) {
      var depth = log.getDepth();
      if (this.base < 0) this.base = depth;
      if (depth == this.base) {
        if (op == "LOG1" && this.word(log, 2) == "bb47ee3e183a558b1a2ff0874b079f3fc5478b7454eacf2bfc5af2ff5878f972") this.done = true;
        if (kind == "call") this.entity = this.word(log, 1);
        this.last = "";
        return;
      }
    }
    if (this.last == "GAS" && kind != "call") this.put(["op", this.entity, "GAS"]);
    this.last = op;
    if (kind === undefined) return;
    if (kind == "slot")
      this.put(["slot", this.entity, op, toHex(log.contract.getAddress()), this.word(log, 0)]);
    else if (kind == "hash") {
      var offset = parseInt(this.word(log, 0), 16), size = parseInt(this.word(log, 1), 16);
      if (size >= 32 && size <= 128) this.put(["keccak", toHex(log.memory.slice(offset, offset + size))]);
    } else if (kind == "call") {
      var place = op == "CALL" || op == "CALLCODE" ? 3 : 2, value = place == 3 ? this.word(log, 2) : "0";
      var start = parseInt(this.word(log, place), 16), length = parseInt(this.word(log, place + 1), 16);
      this.put(["call", this.entity, op, this.word(log, 1), value, length < 4 ? "0x" : toHex(log.memory.slice(start, start + 4))]);
    } else if (kind == "create2") {
      this.created += 1;
      this.put([this.created > 1 ? "twice" : "op", this.entity, op]);
    } else if (kind == "code") this.put(["code", this.entity, op, this.word(log, 0)]);
    else this.put(["op", this.entity, op]);
  },
  fault: function (log, db) {
    if (!this.done && /out.?of.?gas/i.test(String(log.getError()))) this.put(["fault", this.entity, "out of gas"]);
  },
  result: function (ctx, db) { return { done: this.done || (this.isDirect && !ctx.error), steps: this.steps }; }
}
