// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {OpenVPPAccount} from "../../src/account/OpenVPPAccount.sol";
import {AccountControl} from "../../src/account/AccountControl.sol";
import {AccountProxies} from "../../src/account/AccountProxies.sol";
import {Agreed} from "../support/Agreed.sol";
import {Checks} from "../support/Checks.sol";

/// @dev Proofs by halmos, for every policy, state, amount and caller, on the account's own bytecode behind its proxy.
/// The names begin with `check_`, so that forge does not take them for tests; what is named `check_wrong` is false and
/// must be refuted, which shows that the proofs beside it are not empty.
contract LimitProofs is Checks {
    bytes32 private constant SESSIONS_SLOT = 0xfb4fe4f1fab75a65e5c293df623c4046b7403e117481b120a4eafa7159854100;
    address private constant ENTRY_POINT = address(0xE9);
    address private constant OWNER = address(0xA11CE);
    uint256 private constant PERIOD = 1 days;

    OpenVPPAccount private account;
    address private token;

    function setUp() public {
        vm.warp(1_000_000_000);
        OpenVPPAccount selfCustody = new OpenVPPAccount(ENTRY_POINT, OpenVPPAccount(payable(0)));
        OpenVPPAccount implementation = new OpenVPPAccount(ENTRY_POINT, selfCustody);
        bytes memory code = AccountProxies.creationCode(address(implementation), OWNER);
        address made;
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
        }
        account = OpenVPPAccount(payable(made));
        token = address(new Agreed());
    }

    function _policy(uint96 payment, uint96 period, uint96 total, uint96 fee, uint40 startsAt, uint40 endsAt)
        private
        view
        returns (bytes32[5] memory words)
    {
        words[0] = bytes32((uint256(0xB0B) << 96) | payment);
        words[1] = bytes32((uint256(0xBEEF) << 96) | period);
        words[2] = bytes32((uint256(uint160(token)) << 96) | total);
        words[4] =
            bytes32((uint256(fee) << 160) | (uint256(startsAt) << 120) | (uint256(endsAt) << 80) | (PERIOD << 48) | 1);
    }

    function _slot(bytes32[5] memory words) private pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(abi.encode(words)), SESSIONS_SLOT));
    }

    function _holdSlot(bytes32[5] memory words) private pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(abi.encode(words)), uint256(SESSIONS_SLOT) + 2));
    }

    /// @dev Whatever was spent before: a payment that goes through is within every limit, its books are right, and the
    /// session was live or had been held until now at most.
    function check_paymentKeepsEveryLimit(
        uint96 maxPayment,
        uint96 maxPeriod,
        uint96 maxTotal,
        uint96 maxFee,
        uint256 state,
        uint256 heldUntil,
        uint256 amount,
        uint256 fee
    ) external {
        bytes32[5] memory words = _policy(maxPayment, maxPeriod, maxTotal, maxFee, 999_999_000, 1_000_100_000);
        vm.store(address(account), _slot(words), bytes32(state));
        vm.store(address(account), _holdSlot(words), bytes32(heldUntil));
        vm.prank(ENTRY_POINT);
        (bool done,) =
            address(account).call(abi.encodeCall(OpenVPPAccount.payBill, (words, bytes16("r"), amount, fee, false)));
        uint256 later = uint256(vm.load(address(account), _slot(words)));
        if (!done) {
            assert(later == state);
            return;
        }
        assert(state & 0xff == 1 || (state & 0xff == 9 && heldUntil <= 1_000_000_000));
        assert(fee <= maxFee);
        assert(amount + fee <= maxPayment);
        assert(later >> 160 == (state >> 160) + amount + fee);
        assert(later >> 160 <= maxTotal);
        assert((later >> 64) & type(uint96).max <= maxPeriod);
        assert(later & 0xff == 1);
        assert(uint32(later >> 8) == uint32(state >> 8));
    }

    function check_wrong_noPaymentGoesThrough(uint256 amount) external {
        bytes32[5] memory words = _policy(100, 100, 100, 100, 999_999_000, 1_000_100_000);
        vm.store(address(account), _slot(words), bytes32(uint256(1)));
        vm.prank(ENTRY_POINT);
        (bool done,) =
            address(account).call(abi.encodeCall(OpenVPPAccount.payBill, (words, bytes16("r"), amount, 0, false)));
        assert(!done);
    }

    function check_wrong_theOwnerChangesNothingEither(bytes32 sessionId) external {
        bytes32[] memory ids = new bytes32[](1);
        ids[0] = sessionId;
        vm.prank(OWNER);
        (bool done,) = address(account).call(abi.encodeCall(OpenVPPAccount.revokeSessions, (ids)));
        assert(!done);
    }

    /// @dev Outside of its life a session pays nothing.
    function check_paymentIsWithinTheSessionsLife(uint40 startsAt, uint40 endsAt, uint256 amount) external {
        bytes32[5] memory words = _policy(type(uint96).max, type(uint96).max, type(uint96).max, 0, startsAt, endsAt);
        vm.store(address(account), _slot(words), bytes32(uint256(1)));
        vm.prank(ENTRY_POINT);
        (bool done,) =
            address(account).call(abi.encodeCall(OpenVPPAccount.payBill, (words, bytes16("r"), amount, 0, false)));
        if (done) assert(startsAt <= 1_000_000_000 && 1_000_000_000 < endsAt);
    }

    /// @dev Nobody but the EntryPoint and the owner moves anything or changes who may.
    function check_othersChangeNothing(address caller, bytes32 sessionId, address someone) external {
        vm.assume(caller != ENTRY_POINT && caller != OWNER && caller != address(account) && caller != address(0xB0B));
        bytes32[5] memory words = _policy(1, 1, 1, 1, 0, type(uint40).max);
        bytes32[] memory ids = new bytes32[](1);
        ids[0] = sessionId;
        bytes[7] memory calls = [
            abi.encodeCall(OpenVPPAccount.payBill, (words, bytes16("r"), 1, 0, false)),
            abi.encodeCall(OpenVPPAccount.revokeSessions, (ids)),
            abi.encodeCall(OpenVPPAccount.freezeSessions, (ids)),
            abi.encodeCall(OpenVPPAccount.unfreezeSessions, (ids)),
            abi.encodeCall(OpenVPPAccount.renounceSession, (words)),
            abi.encodeCall(AccountControl.changeOwner, (someone)),
            abi.encodeCall(AccountControl.upgradeToAndCall, (someone, ""))
        ];
        for (uint256 i = 0; i < 7; ++i) {
            vm.prank(caller);
            (bool done,) = address(account).call(calls[i]);
            assert(!done);
        }
    }
}
