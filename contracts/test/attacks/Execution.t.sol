// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {BillSessions} from "../../src/account/BillSessions.sol";
import {SessionPolicy} from "../../src/account/SessionPolicy.sol";
import {RelayPaymaster} from "../../src/paymaster/RelayPaymaster.sol";
import {Policies} from "../support/Policies.sol";
import {FalseToken, HookToken, TollToken} from "../support/Tokens.sol";
import {World} from "../support/World.sol";

/// @dev An account that does harm when the lane or the EntryPoint calls it.
contract HostileAccount {
    enum Harm {
        ReturnBomb,
        GasBomb,
        ReenterEntryPoint,
        ReenterLane,
        FakeEvent
    }

    event BillPaid(bytes16 indexed ref, address indexed payer, address indexed token, uint256 amount, uint256 fee);

    Harm private _harm;
    address private _target;
    bytes private _call;
    bool public reentered;

    constructor(Harm harm, address target, bytes memory call) {
        _harm = harm;
        _target = target;
        _call = call;
    }

    function validateUserOp(PackedUserOperation calldata, bytes32, uint256) external pure returns (uint256) {
        return 0;
    }

    fallback() external {
        if (_harm == Harm.ReturnBomb) {
            assembly {
                revert(0, 1000000)
            }
        } else if (_harm == Harm.GasBomb) {
            while (true) {}
        } else if (_harm == Harm.FakeEvent) {
            emit BillPaid(bytes16("fake"), address(this), _target, 1e12, 0);
        } else {
            (reentered,) = _target.call(_call);
        }
    }
}

contract ExecutionAttacks is World {
    RelayPaymaster private relayPaymaster;
    address private constant RELAYER = address(0x4E1A);
    address private constant LANE_KEY = address(0x1A4E);

    function setUp() public override {
        super.setUp();
        open();
        relayPaymaster = new RelayPaymaster(entryPoint, address(this));
        relayPaymaster.deposit{value: 10 ether}();
        relayPaymaster.setAllowance(RELAYER, 10 gwei, 0.01 ether);
        vm.fee(1 gwei);
        vm.txGasPrice(2 gwei);
    }

    function _session(address token) private returns (bytes32[5] memory words) {
        SessionPolicy memory policy = policyOf();
        policy.token = token;
        words = Policies.pack(policy);
        account.installSession(words, installSignature(words));
    }

    function _relayed(address sender, bytes memory callData) private view returns (PackedUserOperation memory op) {
        op.sender = sender;
        op.nonce = entryPoint.getNonce(sender, 0);
        op.callData = callData;
        op.accountGasLimits = bytes32((uint256(100_000) << 128) | 200_000);
        op.preVerificationGas = 60_000;
        op.gasFees = bytes32((uint256(1 gwei) << 128) | 2 gwei);
        op.paymasterAndData = abi.encodePacked(address(relayPaymaster), uint128(60_000), uint128(0));
    }

    function _bundle(PackedUserOperation memory op) private pure returns (PackedUserOperation[] memory ops) {
        ops = new PackedUserOperation[](1);
        ops[0] = op;
    }

    function test_reentrancyByTokenHooks() public {
        HookToken token = new HookToken();
        token.mint(address(account), 1_000e6);
        bytes32[5] memory words = _session(address(token));
        uint40 deadline = uint40(vm.getBlockTimestamp() + 60);
        bytes memory again =
            sign(KEY, Policies.paymentDigest(words, REF, 100e6, 0, false, 0, deadline, address(account)));
        token.setHook(
            address(account),
            abi.encodeCall(BillSessions.payBillSigned, (words, payment(100e6, 0, false), deadline, again))
        );
        vm.prank(address(entryPoint));
        account.payBill(words, REF, 100e6, 0, false);
        isTrue(!token.hookSucceeded(), "the payment inside is over the period's limit");
        equal(token.balanceOf(PAYEE), 100e6, "paid once");
        (, uint256 total,,,) = account.session(Policies.id(words));
        equal(total, 100e6, "counted before the transfer");
    }

    /// @dev The account sends what was signed; that less arrives is for the backend to see in the token's `Transfer`.
    function test_feeOnTransferToken() public {
        TollToken token = new TollToken();
        token.mint(address(account), 1_000e6);
        bytes32[5] memory words = _session(address(token));
        vm.prank(address(entryPoint));
        account.payBill(words, REF, 100e6, 0, false);
        equal(token.balanceOf(address(account)), 900e6, "no more than the limit left");
        equal(token.balanceOf(PAYEE), 90e6, "less arrived");
    }

    function test_falseReturningToken() public {
        FalseToken token = new FalseToken();
        bytes32[5] memory words = _session(address(token));
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token)));
        vm.prank(address(entryPoint));
        account.payBill(words, REF, 1, 0, false);
        (, uint256 total,,,) = account.session(Policies.id(words));
        equal(total, 0, "nothing counted, no BillPaid");
    }

    function test_tokenThatIsNoContract() public {
        bytes32[5] memory words = _session(address(0x7777));
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(0x7777)));
        vm.prank(address(entryPoint));
        account.payBill(words, REF, 1, 0, false);
    }

    /// @dev Anybody can emit the event. What proves a payment is the token's `Transfer`, and there is none.
    function test_billPaidWithoutATransfer() public {
        HostileAccount hostile = new HostileAccount(HostileAccount.Harm.FakeEvent, address(usd), "");
        vm.recordLogs();
        (bool done,) = address(hostile).call("");
        isTrue(done, "emitted");
        equal(vm.getRecordedLogs().length, 1, "BillPaid and nothing else");
        equal(usd.balanceOf(PAYEE), 0, "nothing moved");
    }

    /// @dev One bad operation fails by itself; its neighbour in the bundle pays.
    function test_griefingABundle() public {
        PackedUserOperation[] memory ops = new PackedUserOperation[](2);
        HostileAccount hostile = new HostileAccount(HostileAccount.Harm.GasBomb, address(0), "");
        ops[0] = _relayed(address(hostile), hex"12345678");
        ops[1] = _relayed(address(account), payCall(packed(), 10e6, 0, false));
        ops[1].signature = abi.encodePacked(uint8(1), sign(KEY, entryPoint.getUserOpHash(ops[1])));
        vm.prank(RELAYER, RELAYER);
        entryPoint.handleOps(ops, BENEFICIARY);
        equal(usd.balanceOf(PAYEE), 10e6, "the neighbour paid");
    }

    /// @dev A key whose operations revert costs its utility's budget and no more, each time at most what was reserved.
    function test_drainingTheDepositByRevertingOperations() public {
        paymaster.setBudget(UTILITY, 0, 0.002 ether);
        uint256 deposit = paymaster.getDeposit();
        bool stopped;
        for (uint256 i = 0; i < 20 && !stopped; ++i) {
            PackedUserOperation memory op = sponsored(payCall(packed(), 900e6, 0, false), 3, 0);
            signByKey(op, "");
            vm.prank(BENEFICIARY, BENEFICIARY);
            try entryPoint.handleOps(_bundle(op), BENEFICIARY) {}
            catch (bytes memory why) {
                stopped = bytes4(why) == IEntryPoint.FailedOpWithRevert.selector;
            }
        }
        isTrue(stopped, "the budget ends it");
        isTrue(deposit - paymaster.getDeposit() <= 0.002 ether, "never more than the budget");
        equal(usd.balanceOf(PAYEE), 0, "nothing moved");
    }

    function test_relayPaymasterTrustsNobodyElse() public {
        PackedUserOperation memory op = _relayed(address(account), payCall(packed(), 10e6, 0, false));
        op.signature = abi.encodePacked(uint8(1), sign(KEY, entryPoint.getUserOpHash(op)));
        vm.expectRevert();
        vm.prank(LANE_KEY, LANE_KEY);
        entryPoint.handleOps(_bundle(op), payable(LANE_KEY));
        equal(usd.balanceOf(PAYEE), 0, "nothing moved");
        op.gasFees = bytes32((uint256(11 gwei) << 128) | 11 gwei);
        vm.expectRevert();
        vm.prank(RELAYER, RELAYER);
        entryPoint.handleOps(_bundle(op), BENEFICIARY);
    }

    /// @dev An account in a lane bundle calls `handleOps` with an operation of its own that the relay paymaster would
    /// pay. The lane's key is none that it trusts, so nothing leaves the deposit.
    function test_hostileAccountReentersTheEntryPointFromTheLane() public {
        HostileAccount idle = new HostileAccount(HostileAccount.Harm.FakeEvent, address(usd), "");
        PackedUserOperation memory op = _relayed(address(idle), hex"12345678");
        bytes memory call = abi.encodeCall(IEntryPoint.handleOps, (_bundle(op), payable(address(0xBAD))));
        HostileAccount hostile = new HostileAccount(HostileAccount.Harm.ReenterEntryPoint, address(entryPoint), call);
        uint256 deposit = relayPaymaster.getDeposit();
        vm.prank(LANE_KEY, LANE_KEY);
        lane.payBills(
            abi.encodePacked(_header(900_000), _intentFor(address(hostile), 0), _intentFor(address(account), 0))
        );
        isTrue(!hostile.reentered(), "refused");
        equal(relayPaymaster.getDeposit(), deposit, "deposit");
        equal(address(0xBAD).balance, 0, "thief");
        equal(usd.balanceOf(PAYEE), 10e6, "the neighbour paid");
    }

    function test_returndataBombInOneIntent() public {
        HostileAccount hostile = new HostileAccount(HostileAccount.Harm.ReturnBomb, address(0), "");
        uint256 before = gasleft();
        lane.payBills(
            abi.encodePacked(_header(2_000_000), _intentFor(address(hostile), 0), _intentFor(address(account), 0))
        );
        isTrue(before - gasleft() < 2_500_000, "no more than its own gas");
        equal(usd.balanceOf(PAYEE), 10e6, "the neighbour paid");
    }

    function test_gasBombInOneIntent() public {
        HostileAccount hostile = new HostileAccount(HostileAccount.Harm.GasBomb, address(0), "");
        uint256 before = gasleft();
        lane.payBills(
            abi.encodePacked(_header(200_000), _intentFor(address(hostile), 0), _intentFor(address(account), 0))
        );
        isTrue(before - gasleft() < 500_000, "no more than its own gas");
        equal(usd.balanceOf(PAYEE), 10e6, "the neighbour paid");
    }

    function _header(uint24 gasForEach) private view returns (bytes memory) {
        return abi.encodePacked(gasForEach, PAYEE, address(usd), address(ovpp));
    }

    function _intentFor(address payer, uint32 sequence) private view returns (bytes memory) {
        bytes32[5] memory words = packed();
        uint40 deadline = uint40(vm.getBlockTimestamp() + 60);
        bytes32 digest = Policies.paymentDigest(words, REF, 10e6, 0, false, sequence, deadline, payer);
        bytes memory limits =
            abi.encodePacked(words[0], uint96(uint256(words[1])), uint96(uint256(words[2])), uint96(uint256(words[3])));
        return abi.encodePacked(
            abi.encodePacked(uint8(0), payer, limits, words[4]),
            abi.encodePacked(REF, uint96(10e6), uint96(0), deadline, sign(KEY, digest))
        );
    }
}
