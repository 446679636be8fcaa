// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccountControl} from "../../src/account/AccountControl.sol";
import {CallPolicy, CallRule, WordBound} from "../../src/account/CallPolicy.sol";
import {CallSessions} from "../../src/account/CallSessions.sol";
import {Policies} from "./Policies.sol";
import {World} from "./World.sol";

/// @dev A program that customers join and leave, and that remembers who did.
contract Program {
    mapping(address => uint256) public kilowattsOf;
    uint256 public calls;

    error Full();

    function enroll(uint256 kilowatts, address device) external payable {
        if (kilowatts == 13) revert Full();
        device;
        kilowattsOf[msg.sender] = kilowatts;
        calls += 1;
    }

    function leave() external {
        delete kilowattsOf[msg.sender];
        calls += 1;
    }

    function again(address account, bytes calldata call) external {
        (bool done,) = account.call(call);
        require(!done, "it came in again");
    }
}

abstract contract CallWorld is World {
    uint256 internal constant PHONE = 0x9407E;
    address internal constant DEVICE = address(0xDE71CE);
    Program internal program;
    CallRule[] internal rules;
    CallPolicy internal policy;

    function setUp() public virtual override {
        super.setUp();
        open();
        program = new Program();
        vm.deal(address(account), 1 ether);
        rules.push();
        rules[0].target = address(program);
        rules[0].selector = Program.enroll.selector;
        rules[0].maxValue = 5;
        rules[0].bounds.push(WordBound(0, 2, 20));
        rules[0].bounds.push(WordBound(1, uint160(DEVICE), uint160(DEVICE)));
        rules.push();
        rules[1].target = address(program);
        rules[1].selector = Program.leave.selector;
        policy = CallPolicy(vm.addr(KEY), uint40(START), uint40(START + 30 days), 3, 9, root());
        allow(address(program), Program.enroll.selector);
        allow(address(program), Program.leave.selector);
        vm.warp(START + 3 days);
    }

    function leafOf(CallRule memory rule) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(rule))));
    }

    function root() internal view returns (bytes32) {
        (bytes32 a, bytes32 b) = (leafOf(rules[0]), leafOf(rules[1]));
        return a < b ? keccak256(bytes.concat(a, b)) : keccak256(bytes.concat(b, a));
    }

    function proofOf(uint256 which) internal view returns (bytes32[] memory proof) {
        proof = new bytes32[](1);
        proof[0] = leafOf(rules[1 - which]);
    }

    /// @dev Makes one rule the whole policy.
    function only(CallRule memory rule) internal {
        policy.rules = leafOf(rule);
        policy.salt += 1;
        install();
    }

    function allow(address target, bytes4 selector) internal {
        announce(abi.encodeCall(AccountControl.allowCalls, (target, selector)));
        control.allowCalls(target, selector);
    }

    function idOf() internal view returns (bytes32) {
        return control.callSessionId(policy);
    }

    function leaveFor(uint256 secret) internal view returns (bytes memory) {
        bytes32 typehash = keccak256(
            "CallSessionInstall(address key,uint40 startsAt,uint40 endsAt,uint32 maxCalls,uint48 salt,bytes32 rules,bytes32 consent)"
        );
        bytes32 structHash = keccak256(abi.encode(typehash, policy, CONSENT));
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", Policies.domain(address(account)), structHash));
        return abi.encodePacked(CONSENT, sign(secret, digest));
    }

    function install() internal {
        control.installCallSession(policy, leaveFor(OWNER));
    }

    function enrollment(uint256 kilowatts) internal pure returns (bytes memory) {
        return abi.encodeCall(Program.enroll, (kilowatts, DEVICE));
    }

    function make(uint256 which, uint256 value, bytes memory data) internal {
        vm.prank(address(entryPoint));
        control.callBySession(policy, rules[which], proofOf(which), value, data);
    }

    function refused(uint256 which, uint256 value, bytes memory data) internal {
        vm.expectRevert(
            abi.encodeWithSelector(CallSessions.CallNotAllowed.selector, rules[which].target, rules[which].selector)
        );
        make(which, value, data);
    }
}
