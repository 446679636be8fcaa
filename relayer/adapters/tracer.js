{
  base: -1, done: false, entity: "0", last: "", created: 0, seen: {}, steps: [],
  put: function (item) { var key = item.join(" "); if (!this.seen[key]) { this.seen[key] = 1; this.steps.push(item); } },
  word: function (log, n) { return log.stack.peek(n).toString(16); },
  step: function (log, db) {
    if (this.done) return;
    var op = log.op.toString(), depth = log.getDepth();
    if (this.base < 0) this.base = depth;
    var isCall = op == "CALL" || op == "STATICCALL" || op == "DELEGATECALL" || op == "CALLCODE";
    if (depth == this.base) {
      if (op == "LOG1" && this.word(log, 2) == "bb47ee3e183a558b1a2ff0874b079f3fc5478b7454eacf2bfc5af2ff5878f972") this.done = true;
      if (isCall) this.entity = this.word(log, 1);
      this.last = "";
      return;
    }
    if (this.last == "GAS" && !isCall) this.put(["op", this.entity, "GAS"]);
    this.last = op;
    if (op == "SLOAD" || op == "SSTORE" || op == "TLOAD" || op == "TSTORE")
      this.put(["slot", this.entity, op, toHex(log.contract.getAddress()), this.word(log, 0)]);
    else if (op == "KECCAK256" || op == "SHA3") {
      var offset = parseInt(this.word(log, 0), 16), size = parseInt(this.word(log, 1), 16);
      if (size >= 32 && size <= 128) this.put(["keccak", toHex(log.memory.slice(offset, offset + size))]);
    } else if (isCall) {
      var place = op == "CALL" || op == "CALLCODE" ? 3 : 2, value = place == 3 ? this.word(log, 2) : "0";
      var start = parseInt(this.word(log, place), 16), length = parseInt(this.word(log, place + 1), 16);
      this.put(["call", this.entity, op, this.word(log, 1), value, length < 4 ? "0x" : toHex(log.memory.slice(start, start + 4))]);
    } else if (op == "CREATE2") {
      this.created += 1;
      this.put([this.created > 1 ? "twice" : "op", this.entity, op]);
    } else if (op.substring(0, 7) == "EXTCODE") this.put(["code", this.entity, op, this.word(log, 0)]);
    else if (/^(GASPRICE|GASLIMIT|DIFFICULTY|PREVRANDAO|RANDOM|TIMESTAMP|BASEFEE|BLOCKHASH|NUMBER|ORIGIN|COINBASE|SELFDESTRUCT|SUICIDE|CREATE|BLOBHASH|BLOBBASEFEE|INVALID|BALANCE|SELFBALANCE)$/.test(op))
      this.put(["op", this.entity, op]);
  },
  fault: function (log, db) {
    if (!this.done && /out.?of.?gas/i.test(String(log.getError()))) this.put(["fault", this.entity, "out of gas"]);
  },
  result: function (ctx, db) { return { done: this.done, steps: this.steps }; }
}
