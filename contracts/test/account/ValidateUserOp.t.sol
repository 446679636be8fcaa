// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {AccountBase} from "../../src/account/AccountBase.sol";
import {Sessions} from "../../src/account/Sessions.sol";
import {AccountControl} from "../../src/account/AccountControl.sol";
import {BillSessions} from "../../src/account/BillSessions.sol";
import {OpenVPPAccount} from "../../src/account/OpenVPPAccount.sol";
import {Policies} from "../support/Policies.sol";
import {World} from "../support/World.sol";

contract ValidateUserOpTest is World {
    bytes32 private constant HASH = keccak256("operation");

    function _validate(PackedUserOperation memory op) private returns (uint256) {
        vm.prank(address(entryPoint));
        return account.validateUserOp(op, HASH, 0);
    }

    function _op(bytes memory callData, bytes memory signature) private view returns (PackedUserOperation memory op) {
        op = operation(callData);
        op.paymasterAndData = sponsorFields(3, 0);
        op.signature = signature;
    }

    function _refuses(PackedUserOperation memory op, bytes memory why) private {
        vm.expectRevert(why);
        _validate(op);
    }

    function _window() private pure returns (uint256) {
        return ((START - 1) << 208) | ((START + 365 days - 1) << 160);
    }

    function test_acceptsOwner() public {
        deploy();
        equal(_validate(_op("", abi.encodePacked(uint8(0), sign(OWNER, HASH)))), 0, "genuine");
        equal(_validate(_op("", abi.encodePacked(uint8(0), sign(STRANGER, HASH)))), 1, "forged");
    }

    function test_acceptsSessionWithinItsLife() public {
        open();
        bytes memory call = payCall(packed(), 1, 0, false);
        equal(_validate(_op(call, abi.encodePacked(uint8(1), sign(KEY, HASH)))), _window(), "genuine");
        equal(_validate(_op(call, abi.encodePacked(uint8(1), sign(OWNER, HASH)))), _window() | 1, "forged");
    }

    function test_installsWithTheOwnersSignature() public {
        deploy();
        vm.expectEmit(address(account));
        emit BillSessions.SessionInstalled(Policies.id(packed()), vm.addr(KEY), CONSENT, packed());
        bytes memory signature = abi.encodePacked(uint8(1), sign(KEY, HASH), installSignature(packed()));
        equal(_validate(_op(payCall(packed(), 1, 0, false), signature)), _window(), "genuine");
        equal(flagsOf(packed()), 1, "installed");
        equal(_validate(_op(payCall(packed(), 1, 0, false), signature)), _window(), "again");
    }

    function test_refusesInstallOfAnother() public {
        deploy();
        bytes memory install = leaveBy(STRANGER, packed(), address(account));
        bytes memory signature = abi.encodePacked(uint8(1), sign(KEY, HASH), install);
        equal(_validate(_op(payCall(packed(), 1, 0, false), signature)), _window() | 1, "forged");
        equal(flagsOf(packed()), 0, "not installed");
    }

    function test_refusesSessionThatIsNotInstalled() public {
        deploy();
        _refuses(
            _op(payCall(packed(), 1, 0, false), abi.encodePacked(uint8(1), sign(KEY, HASH))),
            abi.encodeWithSelector(Sessions.SessionNotLive.selector, Policies.id(packed()), 0)
        );
    }

    function test_refusesSessionCallsOtherThanPayments() public {
        open();
        bytes memory signature = abi.encodePacked(uint8(1), sign(KEY, HASH));
        _refuses(
            _op(abi.encodeCall(AccountControl.changeOwner, (PAYEE)), signature),
            abi.encodeWithSelector(AccountBase.NotASessionCall.selector, AccountControl.changeOwner.selector)
        );
        _refuses(
            _op(abi.encodePacked(OpenVPPAccount.payBill.selector), signature),
            abi.encodeWithSelector(AccountBase.NotASessionCall.selector, OpenVPPAccount.payBill.selector)
        );
    }

    function test_acceptsRenouncingBySession() public {
        open();
        bytes memory call = abi.encodeCall(OpenVPPAccount.renounceSession, (packed()));
        equal(_validate(_op(call, abi.encodePacked(uint8(1), sign(KEY, HASH)))), 0, "whenever");
        equal(_validate(_op(call, abi.encodePacked(uint8(1), sign(STRANGER, HASH)))), 1, "forged");
    }

    function test_refusesSessionsThatNoPaymasterPaysFor() public {
        open();
        PackedUserOperation memory op = _op(payCall(packed(), 1, 0, false), abi.encodePacked(uint8(1), sign(KEY, HASH)));
        op.paymasterAndData = "";
        _refuses(op, abi.encodeWithSelector(OpenVPPAccount.SessionPaysNoGas.selector));
    }

    function test_refusesUnknownKindsAndShortSignatures() public {
        deploy();
        _refuses(
            _op("", abi.encodePacked(uint8(9), sign(OWNER, HASH))),
            abi.encodeWithSelector(OpenVPPAccount.UnknownSignatureKind.selector, uint8(9))
        );
        _refuses(_op("", ""), abi.encodeWithSelector(OpenVPPAccount.UnknownSignatureKind.selector, uint8(255)));
    }

    function test_refusesMalleableSignature() public {
        deploy();
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(OWNER, HASH);
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        bytes memory flipped =
            abi.encodePacked(uint8(0), r, bytes32(order - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        equal(_validate(_op("", flipped)), 1, "malleable");
    }

    function test_refusesOthersThanTheEntryPoint() public {
        deploy();
        PackedUserOperation memory op = _op("", abi.encodePacked(uint8(0), sign(OWNER, HASH)));
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, address(this)));
        account.validateUserOp(op, HASH, 0);
    }

    function test_paysWhatTheEntryPointMisses() public {
        deploy();
        vm.deal(address(account), 3);
        PackedUserOperation memory op = _op("", abi.encodePacked(uint8(0), sign(OWNER, HASH)));
        uint256 before = address(entryPoint).balance;
        vm.prank(address(entryPoint));
        account.validateUserOp(op, HASH, 2);
        equal(address(entryPoint).balance - before, 2, "paid");
        equal(address(account).balance, 1, "left");
    }
}
